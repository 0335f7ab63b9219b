"""UCP's filters as the search takes them."""

from __future__ import annotations

from collections.abc import Sized
from types import UnionType
from typing import Any, Final

from django.conf import settings
from ucp_sdk.models.schemas.shopping.catalog_search import SearchRequest

from agentstore.kit.errors import Invalid, InvalidParams
from agentstore.kit.money import Money
from marketplace.catalog.categories import find_slugs
from marketplace.catalog.search import SearchFilters

# Each value is looked for on its own, and anybody may ask.
MOST_VALUES: Final = 50
# A size of 42 is often sent as a number.
_SIZES: Final = str | int | float


class InvalidRequest(Invalid):
    """The request is not what UCP's schema asks for."""

    code = "invalid_request"


class RequestTooLarge(InvalidParams):
    """More identifiers, values of a filter or options than one request may hold."""

    code = "request_too_large"


def require_few(values: Sized, *, most: int, what: str) -> None:
    """Raises RequestTooLarge."""
    if len(values) > most:
        raise RequestTooLarge(f"At most {most} {what} per request.", hint="Ask in smaller batches.")


def read_filters(body: SearchRequest) -> tuple[SearchFilters, list[dict[str, Any]]]:
    """Our filters from UCP's, and messages about those that could not be applied.

    Raises InvalidRequest, RequestTooLarge.
    """
    messages: list[dict[str, Any]] = []
    wanted = body.filters
    extra = (wanted.model_extra or {}) if wanted else {}
    country = (getattr(body.context, "address_country", None) or "") if body.context else ""
    currency = (body.context.currency if body.context else None) or settings.STORE_CURRENCY
    categories = (wanted.categories if wanted else None) or []
    require_few(categories, most=MOST_VALUES, what="filters.categories")
    low = high = None
    if wanted and wanted.price:
        if currency != settings.STORE_CURRENCY:
            text = f"The price filter in {currency} was ignored: prices are in {settings.STORE_CURRENCY}."
            messages.append({"type": "warning", "code": "price_filter_ignored", "content": text})
        else:
            low, high = (_amount(limit, currency) for limit in (wanted.price.min, wanted.price.max))
    return (
        SearchFilters(
            categories=find_slugs(categories),
            brands=_texts(extra.get("brands") or [], "brands", kind=str),
            min_price=low,
            max_price=high,
            ships_to=country.upper() if len(country) == 2 else "",
            in_stock=extra.get("available") is not False,
            options=_traits(extra, "options"),
            attributes=_traits(extra, "attributes"),
        ),
        messages,
    )


def _texts(values: Any, name: str, *, kind: type | UnionType) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, kind) for value in values):
        raise InvalidRequest(f"filters.{name} is a list of texts.")
    require_few(values, most=MOST_VALUES, what=f"filters.{name}")
    return tuple(map(str, values))


def _traits(extra: dict[str, Any], name: str) -> dict[str, tuple[str, ...]]:
    wanted = extra.get(name) or {}
    if not isinstance(wanted, dict):
        raise InvalidRequest(f"filters.{name} maps names to accepted values.")
    require_few(wanted, most=MOST_VALUES, what=f"filters.{name}")
    return {
        str(key): (value,) if isinstance(value, str) else _texts(value, f"{name}.{key:.60}", kind=_SIZES)
        for key, value in wanted.items()
    }


def _amount(limit: Any, currency: str) -> Money | None:
    return None if limit is None else Money.from_minor(int(getattr(limit, "root", limit)), currency)
