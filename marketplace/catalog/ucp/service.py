"""UCP's three catalogue operations: a request as a dict in, a response as a dict out.

REST, MCP and the gateway of sandboxed agents all answer with these. A request may also say which `fields` of the
answer it wants, or that a `compact` one will do (marketplace.catalog.ucp.selecting).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from ucp_sdk.models.schemas.common.types.error_response import ErrorResponse
from ucp_sdk.models.schemas.shopping.catalog_lookup import (
    GetProductRequest,
    GetProductResponse,
    LookupRequest,
    LookupResponse,
)
from ucp_sdk.models.schemas.shopping.catalog_search import SearchRequest, SearchResponse

from marketplace.catalog.hostile.marks import is_harmless, warnings_of
from marketplace.catalog.lookup import MOST_IDS, ProductNotFound, get_product, read_resolved, resolve_ids
from marketplace.catalog.products import ProductView, VariantView
from marketplace.catalog.search import Why, search_catalog
from marketplace.catalog.search.service import MOST_PER_PAGE
from marketplace.catalog.ucp.filtering import InvalidRequest, read_filters, require_few
from marketplace.catalog.ucp.objects import LOOKUP, SEARCH, checked, envelope, product_object
from marketplace.catalog.ucp.selecting import select_fields, wanted_fields, wants
from marketplace.catalog.ucp.selection import MOST_SELECTED, matches, narrow, signals
from marketplace.catalog.ucp.versions import version

M = TypeVar("M", bound=BaseModel)
DEFAULT_LIMIT: Final = 10
# A search shows a few variants of each product, the fitting ones first; get_product shows them all.
SEARCH_VARIANTS: Final = 6
PRODUCT_VARIANTS: Final = 100


def search(request: dict[str, Any]) -> dict[str, Any]:
    """`search_catalog`: products for a query and filters.

    Raises InvalidRequest, RequestTooLarge, InvalidSearch, MalformedCursor.
    """
    body = _read(SearchRequest, request)
    fields = wanted_fields(request)
    filters, messages = read_filters(body)
    page = body.pagination
    explain = (body.model_extra or {}).get("explain") is True
    result = search_catalog(
        query=body.query or "",
        filters=filters,
        limit=min((page.limit if page else None) or DEFAULT_LIMIT, MOST_PER_PAGE),
        cursor=page.cursor if page else None,
        facets=wants(fields, "facets"),
        explain=explain,
    )
    if result.index_empty:
        messages.append(_info("index_empty", "The catalogue has no searchable products yet."))
    products = [
        (product, shown)
        for product in result.items
        if (shown := _found(product, result.why.get(product.product_id)))
    ]
    messages += _warnings([product for product, _ in products])
    if explain:
        messages.append(_info("query_reading", ", ".join(result.reading) or "No word says anything."))
    response: dict[str, Any] = {
        "ucp": envelope(SEARCH),
        "products": [shown for _, shown in products],
        "pagination": {
            "has_next_page": result.next_cursor is not None,
            "total_count": result.total,
            **({"cursor": result.next_cursor} if result.next_cursor else {}),
        },
        "facets": {
            name: [
                {"value": facet.value, "count": facet.count} for facet in facets if is_harmless(facet.value)
            ]
            for name, facets in result.facets.items()
            if is_harmless(name)
        },
    }
    if messages:
        response["messages"] = messages
    return select_fields(checked(SearchResponse, response), fields)


def _found(product: ProductView, why: Why | None) -> dict[str, Any] | None:
    shown = product_object(product, variants=product.variants[:SEARCH_VARIANTS])
    if shown and why:
        shown["metadata"]["why"] = {
            "score": round(why.words_share + why.meaning_share, 4),
            "words": {"score": why.words, "share": round(why.words_share, 4), "matched": list(why.terms)},
            "meaning": {"similarity": why.meaning, "share": round(why.meaning_share, 4)},
        }
    return shown


def lookup(request: dict[str, Any]) -> dict[str, Any]:
    """`lookup_catalog`: products and variants by id, one featured variant for a product's id.

    Raises InvalidRequest, RequestTooLarge.
    """
    body = _read(LookupRequest, request)
    fields = wanted_fields(request)
    ids = list(dict.fromkeys(body.ids))
    require_few(ids, most=MOST_IDS, what="ids")
    resolved = resolve_ids(ids=ids)
    found: list[dict[str, Any]] = []
    told: list[ProductView] = []
    for product in read_resolved(resolved):
        inputs = _correlations(product, resolved)
        variants = [variant for variant in product.variants if variant.variant_id in inputs]
        shown = product_object(product, variants=variants, inputs=inputs)
        if shown:
            found.append(shown)
            told.append(product)
    messages = _warnings(told)
    messages += [_info("not_found", text[:120]) for text in ids if text not in resolved]
    response: dict[str, Any] = {"ucp": envelope(LOOKUP), "products": found}
    if messages:
        response["messages"] = messages
    return select_fields(checked(LookupResponse, response), fields)


def product_detail(request: dict[str, Any]) -> dict[str, Any]:
    """`get_product`: one product with all variants that fit the selected options, and signals for the others.

    An unknown id is an answer with `ucp.status` "error", as UCP wants it. Raises InvalidRequest, RequestTooLarge.
    """
    body = _read(GetProductRequest, request)
    fields = wanted_fields(request)
    require_few(body.selected or (), most=MOST_SELECTED, what="selected options")
    require_few(body.preferences or (), most=MOST_SELECTED, what="preferences")
    try:
        product = get_product(product_id=body.id)
    except ProductNotFound as unknown:
        return _not_found(unknown.message)
    asked = {option.name: option.label for option in body.selected or []}
    featured = next((v for v in product.variants if v.public_id == body.id), None)
    if featured is not None:
        chosen = dict(featured.options)
    elif asked:
        chosen = narrow(product.variants, selected=asked, preferences=body.preferences or [])
    else:
        chosen = dict(product.variants[0].options) if product.variants else {}
    # Without a choice the page opens on the featured variant, but all variants are there to choose from.
    fitting = [v for v in product.variants if not asked or featured or matches(v, chosen)]
    shown = product_object(product, variants=_featured_first(fitting, featured)[:PRODUCT_VARIANTS])
    if shown is None:
        return _not_found("Nobody offers this product now.")
    options = signals(product.variants, selected=chosen)
    if options:
        shown["options"] = [{"name": name, "values": values} for name, values in options.items()]
        shown["selected"] = [{"name": name, "label": label} for name, label in chosen.items()]
    response: dict[str, Any] = {"ucp": envelope(LOOKUP), "product": shown}
    if messages := warnings_of([("$.product", product.public_id, product.marks)]):
        response["messages"] = messages
    return select_fields(checked(GetProductResponse, response), fields)


def _warnings(products: Sequence[ProductView]) -> list[dict[str, Any]]:
    """What is to be told of the texts of products, which an answer lists in this order."""
    return warnings_of(
        [(f"$.products[{place}]", product.public_id, product.marks) for place, product in enumerate(products)]
    )


def _featured_first(variants: list[VariantView], featured: VariantView | None) -> list[VariantView]:
    return sorted(variants, key=lambda variant: variant is not featured) if featured else variants


def _correlations(
    product: ProductView, resolved: dict[str, tuple[int, int | None]]
) -> dict[int, list[dict[str, str]]]:
    """Which asked-for id led to which variant of the product, by variant id."""
    inputs: dict[int, list[dict[str, str]]] = {}
    for text, (product_id, variant_id) in resolved.items():
        if product_id != product.product_id:
            continue
        if variant_id is not None:
            inputs.setdefault(variant_id, []).append({"id": text, "match": "exact"})
        elif product.variants:
            featured = product.variants[0].variant_id
            inputs.setdefault(featured, []).append({"id": text, "match": "featured"})
    return inputs


def _read(model: type[M], request: dict[str, Any]) -> M:
    try:
        return model.model_validate(request)
    except ValidationError as broken:
        first = broken.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "request"
        raise InvalidRequest(
            f"{where}: {first['msg']}", hint=f"See the schema of UCP {version()}."
        ) from broken


def _info(code: str, text: str) -> dict[str, Any]:
    return {"type": "info", "code": code, "content": text}


def _not_found(text: str) -> dict[str, Any]:
    message = {"type": "error", "code": "not_found", "content": text, "severity": "unrecoverable"}
    return checked(ErrorResponse, {"ucp": envelope(LOOKUP, status="error"), "messages": [message]})
