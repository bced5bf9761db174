"""Objects that a provider adds to OpenAI's fields: dicts whose keys are attributes, too."""

from __future__ import annotations

from typing import Any


class AttributeDict(dict[str, Any]):
    """A dict whose keys are attributes, too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no `{name}` here") from None


def with_attributes(value: Any) -> Any:
    """JSON whose objects are `AttributeDict`s."""
    if isinstance(value, dict):
        return AttributeDict({name: with_attributes(item) for name, item in value.items()})
    if isinstance(value, list):
        return [with_attributes(item) for item in value]
    return value
