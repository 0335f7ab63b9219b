"""The shopper's pages of the catalogue: search and a product."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from agentstore.kit.money import Money
from marketplace.catalog.categories import find_renamed, names_of
from marketplace.catalog.lookup import get_product
from marketplace.catalog.search import SearchFilters, search_catalog
from marketplace.catalog.search.service import LONGEST_QUERY

PER_PAGE = 24


@require_GET
def search(request: HttpRequest) -> HttpResponse:
    """Products for words and filters, the same search that agents use."""
    query = request.GET.get("q", "")[:LONGEST_QUERY]
    category, brand = request.GET.get("category", ""), request.GET.get("brand", "")
    if category and (renamed := find_renamed(category)):
        asked = request.GET.copy()
        asked["category"] = renamed
        asked.pop("cursor", None)
        # Not for good: another category may come to be called so.
        return redirect(f"{request.path}?{asked.urlencode()}")
    limit = _money(request.GET.get("max", ""))
    filters = SearchFilters(
        categories=(category,) if category else (), brands=(brand,) if brand else (), max_price=limit
    )
    result = search_catalog(
        query=query, filters=filters, limit=PER_PAGE, cursor=request.GET.get("cursor") or None
    )
    slugs = [facet.value for facet in result.facets.get("category", ())]
    names = names_of([*slugs, category])
    context = {
        "query": query,
        "result": result,
        # Whatever has a price is in a range of it: none is there where no product has the words.
        "by_meaning": bool(query.strip() and result.items and not result.facets.get("price")),
        "next_cursor": result.next_cursor,
        "category": category,
        "category_name": names.get(category, category),
        "brand": brand,
        "max_price": request.GET.get("max", "") if limit else "",
        "categories": [
            (facet.value, names.get(facet.value, facet.value), facet.count)
            for facet in result.facets.get("category", ())[:12]
        ],
        "brands": [(facet.value, facet.count) for facet in result.facets.get("brand", ())[:12]],
    }
    return render(request, "shop/search.html", context)


@require_GET
def product(request: HttpRequest, product_id: str) -> HttpResponse:
    """A product with all its variants, at the prices and stocks of now."""
    found = get_product(product_id=product_id)
    crumbs = [("Catalogue", reverse("catalog:search"))]
    if found.category_path:
        link = f"{reverse('catalog:search')}?{urlencode({'category': found.category_slug})}"
        crumbs.append((found.category_path[-1], link))
    context = {
        "product": found,
        "crumbs": [*crumbs, (found.title, "")],
        "facts": _facts(found.brand, found.attributes, found.min_age),
    }
    return render(request, "shop/product.html", context)


def _facts(brand: str, attributes: dict[str, str], min_age: int) -> list[tuple[str, str]]:
    facts = [("Brand", brand)] if brand else []
    facts += [(name.replace("_", " ").capitalize(), str(value)) for name, value in attributes.items()]
    return [*facts, ("Age", f"From {min_age} years")] if min_age else facts


def _money(text: str) -> Money | None:
    """A price limit that somebody typed; what is no amount limits nothing."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 < amount < 10**9:
        return None
    return Money.from_decimal(amount, settings.STORE_CURRENCY)
