"""What platforms left behind: kept answers, carts and unbought checkouts go when their time is up."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from agentstore.kit.clock import now
from marketplace.shopping.models import UcpCart, UcpCheckout
from marketplace.shopping.ucp.discovery import forget_profiles
from marketplace.shopping.ucp.replies import forget_replies
from marketplace.shopping.ucp.webhooks import forget_events

# An address that nobody bought with is not kept longer than this after its checkout expired.
_GRACE: Final = timedelta(hours=24)


def forget_abandoned() -> int:
    """Delete what expired a day ago and came to nothing, and answers kept longer than promised; how many rows."""
    until = now() - _GRACE
    checkouts, _ = (
        UcpCheckout.objects.filter(purchase=None, expires_at__lt=until)
        .exclude(status=UcpCheckout.Status.PAYING)
        .delete()
    )
    carts, _ = UcpCart.objects.filter(expires_at__lt=until).delete()
    return checkouts + carts + forget_replies() + forget_profiles() + forget_events()
