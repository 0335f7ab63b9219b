"""Slugs of categories: worked out of names alone, another one for each path."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

# No level begins or ends with a hyphen or holds two in a row, so each of these says one thing.
_BELOW: Final = "--"
_CUT: Final = "---"
LONGEST: Final = 160
_IS_CUT: Final = re.compile(r".+---[0-9a-f]{16}")
# What shows nothing: joiners, soft hyphens, selectors of a character's variant.
_UNSEEN: Final = re.compile(
    "[\u00ad\u034f\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)


@lru_cache(maxsize=8192)
def level_slug(name: str) -> str:
    """One name in small letters, digits and single hyphens; empty for a name of signs alone.

    Case, spacing, punctuation, the width of letters and accents on a to z do not tell two names apart. Letters and
    marks of other scripts do, and stay as they are.
    """
    kept: list[str] = []
    marked = False
    for char in _UNSEEN.sub("", unicodedata.normalize("NFKD", name)).lower():
        if char.isalnum() or char == "_":
            kept.append(char)
            marked = not char.isascii()
        elif marked and unicodedata.category(char) in ("Mn", "Mc"):
            kept.append(char)
        else:
            kept += "-" * (char == "-" or char.isspace())
            marked = False
    return re.sub("-+", "-", unicodedata.normalize("NFKC", "".join(kept))).strip("-_")


def slug_of(names: Sequence[str]) -> str:
    """The slug of a category by its names from the root: `electronics--headphones`.

    What is longer than 160 characters is cut, and ends in a digest of the whole.
    """
    whole = _BELOW.join(map(level_slug, names))
    if len(whole) <= LONGEST:
        return whole
    digest = hashlib.blake2b(whole.encode(), digest_size=8).hexdigest()
    return whole[: LONGEST - len(_CUT + digest)].rstrip("-_") + _CUT + digest


def slugs_along(names: Sequence[str]) -> tuple[str, ...]:
    """The slugs of a category and of all above it, from the root."""
    return tuple(slug_of(names[:depth]) for depth in range(1, len(names) + 1))


def top_level_slug(names: Sequence[str]) -> str:
    """What fees and rankings call the category: its root's slug; `other` for goods without one."""
    return slug_of(names[:1]) or "other"


def is_slug(text: str) -> bool:
    """Whether a text reads as some category's slug, rather than as names."""
    levels = text.split(_BELOW)
    return bool(_IS_CUT.fullmatch(text)) or (all(levels) and levels == [*map(level_slug, levels)])
