"""The mail that tells a buyer what a platform bought for them: UCP wants one after every completed checkout."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.template.loader import render_to_string

from agentstore.kit.clock import now
from agentstore.kit.mail import build_message
from marketplace.shopping.models import Order, UcpCheckout
from marketplace.shopping.ucp.shown import permalink


def send_confirmation(*, checkout_id: str) -> bool:
    """Mail the buyer's orders to the address that the platform gave; False without one, or when it went out before.

    At most once: the mark comes first, so a worker that is killed in between sends nothing.
    """
    checkout = UcpCheckout.objects.select_related("purchase").get(pk=checkout_id)
    address = str(checkout.buyer.get("email", ""))
    try:
        validate_email(address)
    except ValidationError:
        return False
    unsent = UcpCheckout.objects.filter(
        pk=checkout_id, status=UcpCheckout.Status.COMPLETED, confirmed_at=None
    )
    if not unsent.update(confirmed_at=now()):
        return False
    orders = Order.objects.filter(checkout=checkout.purchase).select_related("merchant").order_by("pk")
    context = {
        "orders": [(order, permalink(order)) for order in orders.prefetch_related("lines")],
        "site_name": settings.SITE_NAME,
    }
    subject, _, body = render_to_string("email/ucp_confirmation.txt", context).strip().partition("\n")
    build_message(subject=subject, text=body, to=[address], action="See the order").send()
    return True
