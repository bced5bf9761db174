"""What the Python clients share: runs each case and prints its result as one JSON line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

PROMPT = "Say hello."
WEATHER = "What is the weather in Oslo and in Bergen?"
VENDORS = {"OpenAI": "gpt", "Anthropic": "claude", "Gemini": "gemini"}
"""The model name of each kind of upstream."""
THINKER = {"Claude that thinks": "thinker"}
"""Claude with a budget for thinking, which has to be sent back with the calls of tools."""
ALL = "slow, broken, gpt"
TOKENS = 7
"""The completion tokens of every response."""
CALLS = 2
"""The tool calls of a response."""
SEEN = 4
"""The pieces of a stream after which it is cancelled."""


class Failed(Exception):
    """The client received something else than it should have; the message is what it received."""


def check(condition: object, found: object) -> None:
    """Raise `Failed` with what was found unless `condition` holds."""
    if not condition:
        raise Failed(str(found))


def check_weather(text: str) -> str:
    """Check that the text has the tool's result for both cities, and return it."""
    check("7 degrees in Oslo" in text and "7 degrees in Bergen" in text, text)
    return text


def check_all(found: Iterable[tuple[str, str | None, str | None]]) -> str:
    """
    Check the choices of `slow, broken, gpt`; the second one fails.

    A choice is its finish reason, content and refusal.
    """
    choices = list(found)
    check([choice[0] for choice in choices] == ["stop"] * 3, choices)
    check([choice[1] or "" for choice in choices] == ["Hello from slow.", "", "Hello from gpt-4o."],
          choices)  # fmt: skip
    check(choices[1][2] and not choices[0][2] and not choices[2][2], choices)
    return str(choices[1][2])


def check_first(text: str) -> str:
    """Check the text of a client that returns one choice of the models `ALL`, and return it."""
    check(text == "Hello from slow.", text)
    return text


def check_mixed(text: str) -> str:
    """Check the text of a client that takes all chunks for those of one choice."""
    check(all(word in text for word in ("Hello", "from", "slow.", "gpt-4o.")), text)
    return "mixed"


def run_cases(client: str, cases: Mapping[str, Callable[[], str]]) -> None:
    """Run each case, which returns a text to show, and print its result."""
    for what, case in cases.items():
        result, fault = "", ""
        try:
            result = case()
        except Exception as error:  # noqa: BLE001 -- a client may raise anything
            fault = f"{type(error).__name__}: {error}"
        line = {"client": client, "case": what, "result": result, "fault": fault}
        print(json.dumps(line), flush=True)


def for_each_vendor(name: str, case: Callable[[str], str]) -> dict[str, Callable[[], str]]:
    """Return one case for each kind of upstream; `case` gets the model name."""

    def bound(model: str) -> Callable[[], str]:
        return lambda: case(model)

    models = VENDORS | THINKER if name == "tools" else VENDORS
    return {f"{name}, {vendor}": bound(model) for vendor, model in models.items()}
