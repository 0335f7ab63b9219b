"""Stock moves by one conditional statement each, so that the last item is sold once."""

from __future__ import annotations

from django.db.models import F

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict
from marketplace.catalog.models import Offer


class OutOfStock(Conflict):
    """Fewer are left than were asked for."""

    code = "out_of_stock"


def take_stock(*, offer_id: int, quantity: int) -> None:
    """Take `quantity` (≥ 1) off an offer's stock within the caller's transaction. Raises OutOfStock."""
    taken = Offer.objects.filter(pk=offer_id, stock__gte=quantity).update(
        stock=F("stock") - quantity, updated_at=now()
    )
    if not taken:
        raise OutOfStock("There are not enough of this left.", hint="Lower the quantity or remove it.")


def return_stock(*, offer_id: int, quantity: int) -> None:
    """Put back what was taken and not sold. The caller sees to it that this happens once."""
    Offer.objects.filter(pk=offer_id).update(stock=F("stock") + quantity, updated_at=now())
