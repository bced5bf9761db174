"""The file that a job was made from, as the job's record has it. Pure."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

TableKind: TypeAlias = Literal["csv", "jsonl", "parquet"]


class JobSource(Struct, frozen=True, omit_defaults=True):
    """
    The file's `name`, and for a table what its output needs.

    `key` is the blob with the rows: those of a table as CSV in UTF-8, JSONL or Parquet, or for
    other files (`kind` is `None`) the requests of all lines. Without it, they are the job's input.
    `column`, or the template `prompt`, has the prompts, `id_column` the names of the rows. `types`
    are the JSON types of the columns, if they are known, and `fields` the properties of the
    responses' schema with theirs. A CSV is written with the input's `separator`, and with a byte
    order mark if `has_mark`.
    """

    name: str
    kind: TableKind | None = None
    key: str | None = None
    columns: list[str] = []
    types: list[str] = []
    column: str | None = None
    prompt: str | None = None
    id_column: str | None = None
    fields: dict[str, str] = {}
    separator: str = ","
    has_mark: bool = False
