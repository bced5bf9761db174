"""The count of the votes that the models of a request may give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config.catalog import Catalog
from ..config.deployment import Deployment
from ..errors import FanoutError, RequestError
from ..schema.agreement import Agree
from ..schema.checked import schema_of
from ..schema.request import ChatRequest
from ..schema.value_kinds import Kinds, values_of
from .vote_count import PLAUSIBLE, VoteCount


def vote_count(
    rules: Agree, chat: ChatRequest, models: Sequence[str], catalog: Catalog
) -> VoteCount:
    """The count of the models' votes; raises `RequestError` if they can never decide."""
    found = [(name, _deployment(catalog, name)) for name in models]
    families = [name if one is None else one.provider.name for name, one in found]
    count = VoteCount(rules, families, _plausible(schema_of(chat), rules))
    if not count.is_open:
        raise RequestError(
            f"`fanout.confidence` of {rules.confidence:g} cannot be reached, even if all models "
            "agree: name more models, or models of other providers, or give their `weights`",
            "fanout.confidence",
        )
    return count


def _deployment(catalog: Catalog, name: str) -> Deployment | None:
    try:
        return catalog.find(name)[0]
    except FanoutError:
        return None


def _plausible(schema: Mapping[str, Any] | None, rules: Agree) -> int:
    """How many answers there are: the values of the enum, if one field with an enum is compared."""
    kinds = Kinds(schema)
    schemas = kinds.of(kinds.root, {})
    known = {name for one in schemas for name in one.get("properties", ())}
    names = rules.on if isinstance(rules.on, tuple) else tuple(known)
    own = [kinds.of(kinds.property_of(schemas, name), "") for name in names if name in known]
    enums = [values for one in own if (values := values_of(one))]
    return len(enums[0]) if len(enums) == 1 else PLAUSIBLE
