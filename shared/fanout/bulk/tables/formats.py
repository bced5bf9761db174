"""Which form a table's file has, by its name. Pure."""

from __future__ import annotations

from typing import Literal, TypeAlias

from ...errors import RequestError
from ..input.job_source import JobSource

OutputFormat: TypeAlias = Literal["responses", "csv", "tsv", "jsonl", "parquet"]
"""`responses` are OpenAI's output lines, `jsonl` the rows as JSON objects."""

GZIP = ".gz"
SUFFIXES: dict[str, OutputFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}


OTHERS = (".xlsx", ".xls", ".ods", ".feather", ".arrow", ".avro", ".sqlite", ".db", ".zip")
"""The ends of forms that are not written."""


def check_name(name: str) -> None:
    """Raise `RequestError` for an output whose name promises another form."""
    wrong = next((end for end in OTHERS if name.lower().endswith(end)), None)
    if wrong is not None:
        use = "use .csv, .tsv, .jsonl or .parquet"
        raise RequestError(f"`{wrong}` cannot be written: {use}", "output")


def suffix_of(name: str) -> str:
    """The name's end, such as `.csv`, also before `.gz`; empty if it is of no known form."""
    lower = name.lower().removesuffix(GZIP)
    return next((suffix for suffix in SUFFIXES if lower.endswith(suffix)), "")


def stem_of(name: str) -> str:
    """The name without its known end."""
    bare = name[: -len(GZIP)] if name.lower().endswith(GZIP) else name
    return bare[: len(bare) - len(suffix_of(bare))]


def own_format(source: JobSource) -> OutputFormat:
    """The form of the input."""
    if source.kind == "csv":
        return "tsv" if _is_tsv(source) else "csv"
    return source.kind or "responses"


def separator_of(form: OutputFormat, source: JobSource) -> str:
    """The separator of an output: that of the input, unless either is TSV by its name."""
    if form == "tsv":
        return "\t"
    return "," if _is_tsv(source) and source.separator == "\t" else source.separator


def _is_tsv(source: JobSource) -> bool:
    return SUFFIXES.get(suffix_of(source.name)) == "tsv"


def output_format(name: str, source: JobSource) -> OutputFormat:
    """
    The form of an output of this name.

    JSONL has the rows of a table; if the input is none, it has OpenAI's lines. Without a known end,
    the form is that of the input.
    """
    found = SUFFIXES.get(suffix_of(name)) or own_format(source)
    return "responses" if found == "jsonl" and source.kind is None else found
