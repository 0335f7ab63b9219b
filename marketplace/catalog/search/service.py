"""The one search of the store: pages, agents and protocols all come through here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agentstore.kit.errors import Invalid
from agentstore.kit.pagination import MalformedCursor, decode_cursor, encode_cursor
from marketplace.catalog.models import Offer, Product
from marketplace.catalog.offers import in_force
from marketplace.catalog.products import ProductView, read_products
from marketplace.catalog.search.backend import Facet
from marketplace.catalog.search.filters import SearchFilters
from marketplace.catalog.search.hybrid import CANDIDATES, get_backend

MOST_PER_PAGE: Final = 50
LONGEST_QUERY: Final = 500
NO_FILTERS: Final = SearchFilters()


class InvalidSearch(Invalid):
    """A limit or a query out of bounds."""

    code = "invalid_search"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One page. `total` counts what the index holds for this search and is exact up to changes under way;
    `index_empty` says that nothing has been indexed yet, so that an empty page means nothing."""

    items: list[ProductView]
    next_cursor: str | None
    facets: Mapping[str, tuple[Facet, ...]]
    total: int
    index_empty: bool = False


def search_catalog(
    *, query: str, filters: SearchFilters = NO_FILTERS, limit: int = 10, cursor: str | None = None
) -> SearchResult:
    """Products for a query, best first; the first variant of each fits the filters.

    Candidates come from the index and are read again from PostgreSQL before they leave, so that price, stock
    and status are those of this instant. Raises InvalidSearch, MalformedCursor.
    """
    if not 1 <= limit <= MOST_PER_PAGE:
        raise InvalidSearch(f"A page holds 1 to {MOST_PER_PAGE} products.")
    if len(query) > LONGEST_QUERY:
        raise InvalidSearch(f"A query has at most {LONGEST_QUERY} characters.", hint="Say it shorter.")
    mark = _fingerprint(query, filters)
    offset = _offset(cursor, mark)
    found = get_backend().search(query=query, filters=filters, offset=offset, limit=CANDIDATES * 2)
    ranked = [hit.product_id for hit in found.hits]
    passing = _passing(ranked, filters)
    page: list[int] = []
    consumed = 0
    for number in ranked:
        if len(page) == limit:
            break
        consumed += 1
        if number in passing:
            page.append(number)
    more = any(number in passing for number in ranked[consumed:]) or (
        not query.strip() and offset + len(ranked) < found.total
    )
    return SearchResult(
        items=read_products(ids=page, keep=filters.fits_variant),
        next_cursor=encode_cursor([mark, offset + consumed]) if more and ranked else None,
        facets=found.facets,
        total=found.total,
        index_empty=found.index_empty,
    )


def _passing(candidates: list[int], filters: SearchFilters) -> set[int]:
    """Which candidates pass the filters as PostgreSQL has them now: one query."""
    if not candidates:
        return set()
    offers = Offer.objects.filter(
        variant__product_id__in=candidates, variant__product__status=Product.Status.ACTIVE
    )
    if filters.in_stock:
        offers = offers.filter(in_force(), stock__gt=0)
    if filters.currency:
        offers = offers.filter(currency=filters.currency)
    if filters.min_price:
        offers = offers.filter(price_micros__gte=filters.min_price.micros)
    if filters.max_price:
        offers = offers.filter(price_micros__lte=filters.max_price.micros)
    if filters.merchants:
        offers = offers.filter(merchant_id__in=filters.merchants)
    rows = offers.values_list("variant__product_id", "variant__options", "ships_to")
    return {
        product_id
        for product_id, options, ships_to in rows
        if (not filters.ships_to or not ships_to or filters.ships_to in ships_to)
        and _has_options(options, filters.options)
    }


def _has_options(options: dict[str, Any], wanted: Mapping[str, tuple[str, ...]]) -> bool:
    have = {name.casefold(): str(value).casefold() for name, value in options.items()}
    return all(
        have.get(name.casefold()) in {value.casefold() for value in accepted}
        for name, accepted in wanted.items()
    )


def _fingerprint(query: str, filters: SearchFilters) -> str:
    """A cursor belongs to one search; this tells whether it is the same one."""
    return hashlib.blake2s(repr((query.strip(), filters)).encode(), digest_size=6).hexdigest()


def _offset(cursor: str | None, mark: str) -> int:
    if not cursor:
        return 0
    mine, offset = decode_cursor(cursor, parts=2)
    if mine != mark or not isinstance(offset, int) or offset < 0:
        raise MalformedCursor("this cursor is of another search", hint="start again without a cursor")
    return offset
