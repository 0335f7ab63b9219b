"""Reserving stock: one conditional statement, no lock held before it (docs/algorithms/stock.md)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import connection, transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, Invalid, NotFound
from marketplace.catalog.models import Offer, Reservation
from marketplace.catalog.outbox import announce_products

_RESERVE: Final = """
UPDATE catalog_offer SET reserved = reserved + %(quantity)s, updated_at = statement_timestamp()
WHERE id = %(offer_id)s AND on_hand - reserved >= %(quantity)s
RETURNING stock, (SELECT product_id FROM catalog_variant WHERE id = variant_id)
"""
_END: Final = """
UPDATE catalog_offer
SET reserved = reserved - %(quantity)s, on_hand = GREATEST(on_hand - %(gone)s, 0),
    updated_at = statement_timestamp()
WHERE id = %(offer_id)s
RETURNING stock, (SELECT product_id FROM catalog_variant WHERE id = variant_id)
"""


class OutOfStock(Conflict):
    """There are fewer left than wanted."""

    code = "out_of_stock"


class AlreadyReserved(Conflict):
    """This holder has reserved this offer before."""

    code = "already_reserved"


@transaction.atomic
def reserve_stock(*, offer_id: int, quantity: int, holder: str, until: datetime) -> int:
    """Hold items of an offer for a buyer who is about to pay; gives what is left for others.

    Of many buyers of the last item exactly one gets it. A holder that reserves several offers in one transaction
    does so in the order of their variants, as feeds do, so that no two wait for each other. `until` is when the
    holder means to end it: that is the holder's to do (`release_stock`), since only it knows whether a payment is
    under way.
    Raises OutOfStock, NotFound, AlreadyReserved, Invalid for a quantity below one.
    """
    if quantity < 1:
        raise Invalid("A quantity is at least one.")
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE, {"offer_id": offer_id, "quantity": quantity})
        row = cursor.fetchone()
    if row is None:
        left = Offer.objects.filter(pk=offer_id).values_list("stock", flat=True).first()
        if left is None:
            raise NotFound("There is no such offer.")
        raise OutOfStock(
            "There are not enough of these left." if left else "This is out of stock.",
            hint=f"Take {left} or fewer." if left else "Choose another variant or merchant.",
            left=left,
        )
    _, made = Reservation.objects.get_or_create(
        offer_id=offer_id, holder=holder, defaults={"quantity": quantity, "held_until": until}
    )
    if not made:
        raise AlreadyReserved("This is reserved already.")
    left, product_id = int(row[0]), int(row[1])
    if left == 0:
        announce_products([product_id])
    return left


def buy_reserved(*, holder: str) -> int:
    """The holder has paid: what it holds is no longer the merchant's; gives how many items. Twice is once."""
    return _end(holder, Reservation.Status.BOUGHT)


def release_stock(*, holder: str) -> int:
    """The holder will not pay: what it holds can be bought again; gives how many items. Twice is once."""
    return _end(holder, Reservation.Status.RELEASED)


@transaction.atomic
def _end(holder: str, status: str) -> int:
    held = list(
        Reservation.objects.select_for_update(of=("self",))
        .filter(holder=holder, status=Reservation.Status.HELD)
        .order_by("offer__variant_id", "offer_id")
    )
    returned: list[int] = []
    for reservation in held:
        gone = reservation.quantity if status == Reservation.Status.BOUGHT else 0
        with connection.cursor() as cursor:
            cursor.execute(
                _END, {"offer_id": reservation.offer_id, "quantity": reservation.quantity, "gone": gone}
            )
            stock, product_id = cursor.fetchone()
        if 0 < stock <= reservation.quantity:
            returned.append(int(product_id))
        reservation.status, reservation.ended_at = status, now()
        reservation.save(update_fields=["status", "ended_at"])
    announce_products(returned)
    return sum(reservation.quantity for reservation in held)
