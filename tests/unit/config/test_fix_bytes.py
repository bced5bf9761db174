"""Every line that `--fix` does not change keeps its bytes, in whatever characters and line ends."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.config.fix import fix
from fanout.config.load import read_file
from fanout.config.resolve import inspect_config
from fanout.errors import ConfigError

MARK = "\ufeff"
ENV = {"OPENAI_API_KEY": "k"}
Line = tuple[str, bool]  # a line, and whether it is wrong
MARKS = st.sampled_from(["", MARK])
ENDS = ("\n", "\r\n", "\r")

AFTER = st.sampled_from(
    ["", "  ", "\t", "\t# tab", " # \u00fcn\u00ef", " # \U0001f600\U0001f600 \u6f22", " # a: [b"]
)
TEXTS = st.sampled_from(
    ["plain", "'single # \u00fc'", '"double \\" \U0001f600"', '"a\u2028b"', '"a\u0085b"', "\u6f22"]
)
PARAMS_WRONG = st.sampled_from(
    ["tags: [x]", "tags: [\u00fc, '\U0001f600']", '"tags": ["]"]', "guardrails: {a: {b: c}}"]
)
SETTINGS_WRONG = st.sampled_from(
    ["cache: true", "cache:\ttrue", "'cache': yes", "callbacks: [\U0001f600]", "set_verbose: true"]
)


@st.composite
def entries(draw: st.DrawFn) -> list[Line]:
    """A model in block style, with an anchor, or in flow style."""
    name = draw(st.sampled_from(["a", "'b'", '"\U0001f600"']))
    found = [(f"  - model_name: {name}{draw(AFTER)}", False)]
    if draw(st.booleans()):
        text = f"    litellm_params: {{model: openai/x, organization: {draw(TEXTS)}}}"
        return [*found, (text + draw(AFTER), False)]
    params = [("model: openai/x", False), (f"organization: {draw(TEXTS)}", False)]
    params += [("# \U0001f600 kept", False)] * draw(st.integers(0, 1))
    params += [(wrong, True) for wrong in draw(st.lists(PARAMS_WRONG, max_size=1))]
    params += [("rpm: 5", False)] * draw(st.integers(0, 1))
    return [
        *found,
        (f"    litellm_params:{draw(AFTER)}", False),
        *((f"      {text}{draw(AFTER)}", wrong) for text, wrong in params),
    ]


@st.composite
def documents(draw: st.DrawFn) -> list[Line]:
    """A config's lines: comments, anchors and aliases, models, settings that are wrong or not."""
    aliases = draw(st.booleans())
    found = [("# \U0001f600", False)] * draw(st.integers(0, 2))
    found += [("---", False)] * draw(st.integers(0, 1))
    if aliases:
        found += [("x-base: &base", False), (f"  rpm: 7{draw(AFTER)}", False)]
    found.append((f"model_list:{draw(AFTER)}", False))
    for _ in range(draw(st.integers(1, 3))):
        found += draw(entries())
    if aliases:
        shared = ["  - model_name: shared", "    litellm_params:", "      <<: *base"]
        found += [(text, False) for text in [*shared, "      model: openai/x"]]
    found += [(f"litellm_settings:{draw(AFTER)}", False)]
    wrong = draw(st.lists(SETTINGS_WRONG, max_size=3, unique_by=lambda one: one.split(":")[0]))
    if sum("cache" in one for one in wrong) > 1:  # the same key, given twice
        wrong = wrong[:1]
    rest = [(f"drop_params: {draw(st.sampled_from(['true', 'yes']))}", False)]
    rest = draw(st.permutations([*rest, *((one, True) for one in wrong)]))
    return [*found, *((f"  {text}{draw(AFTER)}", is_wrong) for text, is_wrong in rest)]


@settings(max_examples=200, deadline=None)
@given(documents(), st.lists(st.sampled_from(ENDS), min_size=1, max_size=3), MARKS)
def test_lines_that_are_right_keep_every_byte_and_problems_have_their_lines(
    lines: list[Line], ends: list[str], mark: str
) -> None:
    ended = [(text + ends[i % len(ends)], wrong) for i, (text, wrong) in enumerate(lines)]
    fixed = fix(mark + "".join(text for text, _ in ended), ENV, "x.yaml")
    assert fixed.text == mark + "".join(text for text, wrong in ended if not wrong)
    numbers = [number for number, (_, wrong) in enumerate(lines, 1) if wrong]
    assert [one.line for one in fixed.changed] == numbers
    assert fixed.remaining == ()


@settings(max_examples=50, deadline=None)
@given(documents(), st.sampled_from(ENDS), MARKS)
def test_check_names_the_lines_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Line], end: str, mark: str
) -> None:
    path = tmp_path_factory.mktemp("config") / "x.yaml"
    text = "".join(text + end for text, _ in lines)
    path.write_bytes((mark + text).encode())
    problems = inspect_config(read_file(path), ENV, "x.yaml")[2]
    numbers = [number for number, (_, wrong) in enumerate(lines, 1) if wrong]
    assert sorted(one.line or 0 for one in problems) == numbers
    fixed = fix(read_file(path, stored=True), ENV, "x.yaml")
    assert [one.line for one in fixed.changed] == numbers


FLOW = """{{ "model_list": [{{"model_name": "a", "litellm_params": \
{{"model": "openai/x"{more}}}}}],{end}\
  "litellm_settings": {{ "drop_params": true, "cache": true }},{end}\
  "general_settings": {{ "master_key": "sk-\U0001f600" }} # \u00fc{end}}}{end}"""


@pytest.mark.parametrize("mark", ["", MARK])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("more", ["", ', "tags": ["\U0001f600"], "rpm": 5'])
def test_a_fixed_config_in_flow_style_has_what_was_right(mark: str, end: str, more: str) -> None:
    fixed = fix(mark + FLOW.format(more=more, end=end), ENV, "x.yaml")
    params = {"model": "openai/x"} | ({"rpm": 5} if more else {})
    assert yaml.safe_load(fixed.text) == {
        "model_list": [{"model_name": "a", "litellm_params": params}],
        "litellm_settings": {"drop_params": True},
        "general_settings": {"master_key": "sk-\U0001f600"},
    }
    assert fixed.text.startswith(f"{mark}{{")
    assert fixed.text.endswith(f'\U0001f600" }} # \u00fc{end}}}{end}')
    assert fixed.text.count("\n") == fixed.text.count("\r\n") or end != "\r\n"


MOVED = """model_list:{end}  - model_name: a # \U0001f600{end}\
    litellm_params: {{model: openai/x}}{end}litellm_settings:{end}\
  master_key: "sk-\U0001f600"{end}  drop_params: true{end}"""


@pytest.mark.parametrize("mark", ["", MARK])
@pytest.mark.parametrize("end", ENDS)
def test_a_moved_value_and_the_lines_around_it_keep_the_files_line_ends(
    mark: str, end: str
) -> None:
    fixed = fix(mark + MOVED.format(end=end), ENV, "x.yaml")
    head, tail = MOVED.split('  master_key: "sk-\U0001f600"{end}')
    tail += 'general_settings:{end}  master_key: "sk-\U0001f600"{end}'
    assert fixed.text == mark + (head + tail).format(end=end)


def test_a_key_that_is_given_twice_is_removed_behind_a_byte_order_mark() -> None:
    text = "rpm: 5\r\nmodel_list:\r\n  - model_name: a\r\n    litellm_params: {model: openai/x}\r\n"
    doubled = MARK + text.replace("rpm: 5\r\n", "") + "model_list: []\r\n"
    assert fix(doubled, ENV, "x.yaml").text.startswith(MARK)
    assert fix(doubled, ENV, "x.yaml").changed[0].line == 4


def test_a_file_of_several_documents_is_an_error_with_its_line() -> None:
    with pytest.raises(ConfigError, match="at line 3, column 1"):
        fix(f"{MARK}model_list: [] # \u2028\r\n\r\n---\r\na: 1\r\n", ENV, "x.yaml")


@pytest.mark.parametrize(
    "text", ["~\n", "null", "---\n# nothing yet\n", "--- ~\n...\n", "# x\n", ""]
)
def test_a_config_that_is_null_is_an_empty_one(text: str) -> None:
    for mark in ("", MARK):
        fixed = fix(mark + text, ENV, "x.yaml")
        assert (fixed.text, fixed.changed, fixed.remaining) == (mark + text, (), ())
