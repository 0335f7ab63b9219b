"""Taking and returning stock: one conditional statement, no lock held before it."""

from __future__ import annotations

from typing import Final

from django.db import connection, transaction

from agentstore.kit.errors import Conflict, Invalid, NotFound
from marketplace.catalog.models import Offer
from marketplace.catalog.outbox import announce_products

_TAKE: Final = """
UPDATE catalog_offer SET stock = stock - %(quantity)s, updated_at = statement_timestamp()
WHERE id = %(offer_id)s AND stock >= %(quantity)s
RETURNING stock, (SELECT product_id FROM catalog_variant WHERE id = variant_id)
"""
_RETURN: Final = """
UPDATE catalog_offer SET stock = stock + %(quantity)s, updated_at = statement_timestamp()
WHERE id = %(offer_id)s
RETURNING stock, (SELECT product_id FROM catalog_variant WHERE id = variant_id)
"""


class OutOfStock(Conflict):
    """There are fewer left than wanted."""

    code = "out_of_stock"


def _run(statement: str, *, offer_id: int, quantity: int) -> tuple[int, int] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"offer_id": offer_id, "quantity": quantity})
        row = cursor.fetchone()
    return None if row is None else (int(row[0]), int(row[1]))


def _require_quantity(quantity: int) -> None:
    if quantity < 1:
        raise Invalid("A quantity is at least one.")


@transaction.atomic
def take_stock(*, offer_id: int, quantity: int) -> int:
    """Take items off an offer's stock; gives what is left.

    Of many buyers of the last item exactly one gets it. A caller that takes from several offers in one
    transaction does so in the order of their ids, so that two such callers never wait for each other.
    Raises OutOfStock, NotFound, Invalid for a quantity below one.
    """
    _require_quantity(quantity)
    row = _run(_TAKE, offer_id=offer_id, quantity=quantity)
    if row is None:
        left = Offer.objects.filter(pk=offer_id).values_list("stock", flat=True).first()
        if left is None:
            raise NotFound("There is no such offer.")
        raise OutOfStock(
            "There are not enough of these left." if left else "This is out of stock.",
            hint=f"Take {left} or fewer." if left else "Choose another variant or merchant.",
            left=left,
        )
    left, product_id = row
    if left == 0:
        announce_products([product_id])
    return left


@transaction.atomic
def return_stock(*, offer_id: int, quantity: int) -> int:
    """Put items back, as when a checkout expires; gives the new stock. Raises NotFound, Invalid."""
    _require_quantity(quantity)
    row = _run(_RETURN, offer_id=offer_id, quantity=quantity)
    if row is None:
        raise NotFound("There is no such offer.")
    stock, product_id = row
    if stock == quantity:
        announce_products([product_id])
    return stock
