"""Orders' changes for the platforms that made them: an outbox row with each change, in its transaction.

Sending is marketplace.shopping.ucp.webhooks.
"""

from __future__ import annotations

from typing import Final

from celery import current_app
from django.db import transaction

from marketplace.shopping.models import Order, UcpCheckout, UcpOrderEvent, UcpProfile

_SEND: Final = "marketplace.shopping.tasks.tell_platform"


def note_change(order: Order, kind: UcpOrderEvent.Kind) -> None:
    """Have the order's platform told; nothing for people's own orders, and for platforms that declare no webhook.

    A platform whose profile was not fetched yet may declare one. Call it in the change's transaction.
    """
    if order.status in (Order.Status.PENDING, Order.Status.CANCELLED):
        return  # no platform was ever told of it
    made = (
        UcpCheckout.objects.filter(purchase_id=order.checkout_id).values_list("platform", flat=True).first()
    )
    if made is None:
        return
    declared = UcpProfile.objects.filter(profile=made).values_list("webhook_url", flat=True).first()
    if declared == "":
        return
    UcpOrderEvent.objects.create(order=order, platform=made, kind=kind)
    send_soon(made)


def send_soon(platform: str) -> None:
    """Have a worker send what is due to a platform once this transaction is through; the beat does where that fails."""
    transaction.on_commit(lambda: current_app.send_task(_SEND, args=[platform], expires=60), robust=True)
