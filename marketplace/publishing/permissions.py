"""What an agent may ask for in its manifest, in words for operators and shoppers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

WORDS: Final = {
    "catalog": "Search the catalogue and recommend products from it",
    "negotiate": "Negotiate prices within the merchants' rules",
    "cart": "Put products into the shopper's cart and take them out",
    "profile": "Read what the shopper consented to share: sizes, likes, past purchases",
    "photos": "See photographs that the shopper sends",
    "model": "Use the store's language model, within a budget",
    "ask": "Ask another agent of the store for help",
}
# What a manifest may ask for and no agent gets: the store has no such tools yet.
NOT_YET: Final = frozenset({"cart", "photos", "ask"})


def in_words(permissions: Iterable[str]) -> list[tuple[str, str]]:
    """`(name, words)` for each permission of a manifest."""
    return [
        (name, f"{WORDS.get(name, name)}{' (no agent gets this yet)' if name in NOT_YET else ''}")
        for name in permissions
    ]
