"""Cursors. A ranking is remembered for a while, so that its pages neither skip nor repeat while the index moves on.

A listing without words needs no memory: it goes on behind the last product's id.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from django.core.cache import cache

from agentstore.kit.ids import new_id
from agentstore.kit.pagination import MalformedCursor, decode_cursor, encode_cursor
from marketplace.catalog.search.backend import Facet, Facets, Found, Hit
from marketplace.catalog.search.filters import SearchFilters

REMEMBERED_SECONDS: Final = 900


@dataclass(frozen=True, slots=True)
class Position:
    """The place of the last hit seen, and the name of the ranking that it is in; empty for a listing."""

    place: int = 0
    ranking: str = ""


def fingerprint(query: str, filters: SearchFilters) -> str:
    """A cursor belongs to one search; this tells whether it is the same one."""
    return hashlib.blake2s(repr((query.strip(), filters)).encode(), digest_size=6).hexdigest()


def read_cursor(cursor: str | None, *, mark: str) -> Position:
    """Where to go on. Raises MalformedCursor for another search's."""
    if not cursor:
        return Position()
    mine, ranking, place = decode_cursor(cursor, parts=3)
    named = isinstance(ranking, str) and (not ranking or ranking.isalnum())
    # A truth value is a whole number to Python.
    if mine != mark or not named or type(place) is not int or not 0 <= place < 1 << 63:
        raise MalformedCursor("this cursor is of another search", hint="start again without a cursor")
    return Position(place, ranking)


def write_cursor(position: Position, *, mark: str) -> str:
    """The cursor of the page behind a position."""
    return encode_cursor([mark, position.ranking, position.place])


def remember_ranking(found: Found) -> str:
    """Keep a ranking; gives its name."""
    name = new_id().hex
    kept = [[hit.product_id for hit in found.hits], found.total, _plain(found.facets)]
    cache.set(_key(name), kept, timeout=REMEMBERED_SECONDS)
    return name


def _plain(facets: Facets | None) -> dict[str, list[tuple[str, int]]] | None:
    if facets is None:
        return None
    return {kind: [(facet.value, facet.count) for facet in each] for kind, each in facets.items()}


def recall_ranking(name: str) -> Found | None:
    """A ranking of that name, None when it is forgotten: it is then made again."""
    kept = cache.get(_key(name)) if name else None
    if kept is None:
        return None
    ids, total, facets = kept
    return Found(
        hits=[Hit(number, 0.0, place=place) for place, number in enumerate(ids, start=1)],
        total=total,
        facets=None
        if facets is None
        else {kind: tuple(Facet(*one) for one in each) for kind, each in facets.items()},
    )


def _key(name: str) -> str:
    return f"search-ranking:{name[:32]}"
