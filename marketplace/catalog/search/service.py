"""The one search of the store: pages, agents and protocols all come through here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agentstore.kit.errors import Invalid
from marketplace.catalog.products import ProductView
from marketplace.catalog.reading import read_products
from marketplace.catalog.search.backend import Facets, Hit, Why
from marketplace.catalog.search.filters import SearchFilters
from marketplace.catalog.search.hybrid import CANDIDATES, beside, get_backend
from marketplace.catalog.search.paging import (
    Position,
    fingerprint,
    read_cursor,
    recall_ranking,
    remember_ranking,
    write_cursor,
)
from marketplace.catalog.search.truth import passing

MOST_PER_PAGE: Final = 50
LONGEST_QUERY: Final = 500
NO_FILTERS: Final = SearchFilters()
_LEAST_CHECKED: Final = 30


class InvalidSearch(Invalid):
    """A limit or a query out of bounds."""

    code = "invalid_search"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One page. `total` counts what the index holds for this search and is exact up to changes under way;
    `index_empty` says that nothing has been indexed yet, so that an empty page means nothing.

    `facets` are empty where they were not asked for. `why` (by product id) and `reading` are there when asked to
    explain: how each product came to its place, and how the query's words were understood.
    """

    items: list[ProductView]
    next_cursor: str | None
    facets: Facets
    total: int
    index_empty: bool = False
    why: Mapping[int, Why] = field(default_factory=dict)
    reading: tuple[str, ...] = ()


def search_catalog(
    *,
    query: str,
    filters: SearchFilters = NO_FILTERS,
    limit: int = 10,
    cursor: str | None = None,
    facets: bool = True,
    explain: bool = False,
) -> SearchResult:
    """Products for a query, best first; the first variant of each fits the filters. Facets are counted if asked for.

    Candidates come from the index and are read again from PostgreSQL before they leave, so that price, stock
    and status are those of this instant. Raises InvalidSearch, MalformedCursor.
    """
    if not 1 <= limit <= MOST_PER_PAGE:
        raise InvalidSearch(f"A page holds 1 to {MOST_PER_PAGE} products.")
    if len(query) > LONGEST_QUERY:
        raise InvalidSearch(f"A query has at most {LONGEST_QUERY} characters.", hint="Say it shorter.")
    mark = fingerprint(query, filters)
    position = read_cursor(cursor, mark=mark)
    browsing = not query.strip()
    recalled = None if explain else recall_ranking(position.ranking)
    found = recalled
    if found is None:
        found = get_backend().search(
            query=query,
            filters=filters,
            after=position.place if browsing else 0,
            limit=CANDIDATES * 2,
            facets=facets,
            explain=explain,
        )
    counts = found.facets
    if facets and counts is None and not found.index_empty:
        # The pages before were asked for without.
        counts = get_backend().facets(query=query, filters=filters)
    hits = found.hits if browsing else [hit for hit in found.hits if hit.place > position.place]
    # One that was forgotten is made again, and remembered again for the pages behind.
    new = len(hits) > limit and not (browsing or recalled)
    remembered = beside.submit(remember_ranking, found) if new else None
    items, last, more = _take(hits, filters, limit)
    # A listing's candidates are a stretch of it: behind a full one there is another.
    more = more or (browsing and len(hits) == CANDIDATES * 2)
    shown = {view.product_id for view in items}
    ranking = remembered.result() if remembered else position.ranking
    return SearchResult(
        items=items,
        next_cursor=write_cursor(Position(last, ranking), mark=mark) if more else None,
        facets=counts or {},
        total=found.total,
        index_empty=found.index_empty,
        why={hit.product_id: hit.why for hit in hits if hit.why and hit.product_id in shown},
        reading=found.reading,
    )


def _take(hits: Sequence[Hit], filters: SearchFilters, limit: int) -> tuple[list[ProductView], int, bool]:
    """The first hits that truly pass, whole; the place of the last one looked at, and whether another one passes."""
    whole: dict[int, ProductView] = {}
    page: list[int] = []
    last, more = 0, False
    for hit, passes in _checked(hits, filters, limit, whole):
        if passes and len(page) == limit:
            more = True
            break
        if passes:
            page.append(hit.product_id)
        last = hit.place
    _read([number for number in page if number not in whole], filters, whole)
    return [whole[number] for number in page if number in whole], last, more


def _checked(
    hits: Sequence[Hit], filters: SearchFilters, limit: int, whole: dict[int, ProductView]
) -> Iterator[tuple[Hit, bool]]:
    """Each hit with whether it passes; products that were read whole to tell go into `whole`.

    Nearly all of the best pass: a page's worth and a few more are read whole at once. Of those behind, which are looked
    at where too few did, only what decides is read.
    """
    first = hits[: limit + limit // 5 + 1]
    _read([hit.product_id for hit in first], filters, whole)
    for hit in first:
        yield hit, hit.product_id in whole and filters.fits_product(whole[hit.product_id])
    step = max(limit * 2, _LEAST_CHECKED)
    for at in range(len(first), len(hits), step):
        stretch = hits[at : at + step]
        true = passing([hit.product_id for hit in stretch], filters)
        yield from ((hit, hit.product_id in true) for hit in stretch)


def _read(ids: list[int], filters: SearchFilters, whole: dict[int, ProductView]) -> None:
    if ids:
        whole |= {view.product_id: view for view in read_products(ids=ids, keep=filters.fits_variant)}
