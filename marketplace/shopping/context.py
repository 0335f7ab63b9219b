"""What every page's header needs to know of the shopper."""

from __future__ import annotations

from typing import Any

from django.db.models import Sum
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from marketplace.shopping.models import CartLine
from marketplace.shopping.shoppers import find_shopper


def cart(request: HttpRequest) -> dict[str, Any]:
    """`cart_count`: how many items are in the shopper's cart, read when a template looks at it."""

    def count() -> int:
        shopper = find_shopper(request) if hasattr(request, "session") else None
        if shopper is None:
            return 0
        return int(
            CartLine.objects.filter(cart__shopper=shopper).aggregate(Sum("quantity"))["quantity__sum"] or 0
        )

    return {"cart_count": SimpleLazyObject(count)}
