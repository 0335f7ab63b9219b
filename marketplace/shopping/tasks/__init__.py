"""Tasks by the names that the beat and other rooms know them by."""

from marketplace.shopping.tasks.conversations import reap_turns, rehearse_submission
from marketplace.shopping.tasks.orders import (
    confirm_ucp_checkout,
    expire_checkouts,
    refresh_ucp_profile,
    send_refund,
    settle_payment_event,
    tell_platform,
    wake_platforms,
)

__all__ = [
    "confirm_ucp_checkout",
    "expire_checkouts",
    "reap_turns",
    "refresh_ucp_profile",
    "rehearse_submission",
    "send_refund",
    "settle_payment_event",
    "tell_platform",
    "wake_platforms",
]
