"""How many visual tokens a method keeps: a share of them, or the name of a budget that papers publish."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import BeforeValidator

from pruneproof.settings import Share

PUBLISHED: Mapping[str, float] = MappingProxyType(
    {
        "llava15_192": 192 / 576,
        "llava15_128": 128 / 576,
        "llava15_64": 64 / 576,
    }
)
"""The budgets at which papers compare methods on LLaVA-1.5, which has 576 visual tokens; of 256 the same shares are 85,
57 and 28. For a method before the language model the number is exact. In tables of methods inside it, the same names
mean the mean over its layers: FastV at layer 2 of 32 averages 192, 128 and 64 if it keeps 166, 98 and 30 of 576."""


def as_share(value: object) -> object:
    """The share that a published budget's name means, and anything else as it is; a ValueError for an unknown name."""
    if not isinstance(value, str):
        return value
    if value not in PUBLISHED:
        raise ValueError(f"{value!r} is no published budget: give a share in (0, 1], or one of {', '.join(PUBLISHED)}")
    return PUBLISHED[value]


Keep = Annotated[Share, BeforeValidator(as_share)]
"""A share of the visual tokens in (0, 1], or a name in `PUBLISHED`, which is read as its share."""
