"""What became of a platform's checkout after it was sent to be paid."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from celery import current_app
from django.db import transaction

from agentstore.kit.clock import now
from marketplace.shopping.models import Checkout, UcpCheckout

_CONFIRM: Final = "marketplace.shopping.tasks.confirm_ucp_checkout"
# After this long a completion that left no purchase behind was cut off before it made one.
_LOST_AFTER: Final = timedelta(minutes=2)
_AT_ONCE: Final = 200


@transaction.atomic
def refresh(checkout: UcpCheckout) -> UcpCheckout:
    """Bring a checkout whose payment was under way up to what the store's own checkout came to since."""
    if checkout.status != UcpCheckout.Status.PAYING:
        return checkout
    locked = UcpCheckout.objects.select_for_update(of=("self",)).get(pk=checkout.pk)
    if locked.status != UcpCheckout.Status.PAYING:
        return locked
    purchase = locked.purchase
    if purchase is None:
        if locked.paying_since is not None and locked.paying_since < now() - _LOST_AFTER:
            move(locked, to=UcpCheckout.Status.OPEN, reason="cut off before a purchase was made")
    elif purchase.status == Checkout.Status.PAID:
        move(locked, to=UcpCheckout.Status.COMPLETED, reason="paid")
        transaction.on_commit(lambda: current_app.send_task(_CONFIRM, args=[locked.pk]), robust=True)
    elif purchase.status != Checkout.Status.OPEN:
        locked.purchase = None
        move(locked, to=UcpCheckout.Status.OPEN, reason=f"the purchase was {purchase.status}")
    return locked


def refresh_waiting() -> None:
    """Bring every checkout whose payment is under way up to date, whether its platform asks or not."""
    for checkout in UcpCheckout.objects.filter(status=UcpCheckout.Status.PAYING)[:_AT_ONCE]:
        refresh(checkout)


def move(checkout: UcpCheckout, *, to: str, reason: str) -> None:
    """Set the status and leave the row that says why. The caller holds the row's lock."""
    checkout.changes.create(from_status=checkout.status, to_status=to, reason=reason[:200])
    checkout.status = to
    checkout.paying_since = now() if to == UcpCheckout.Status.PAYING else None
    checkout.save()
