"""Signed events from the processor."""

from __future__ import annotations

import json
from typing import Any

import stripe
from django.conf import settings

from billing.processor.errors import InvalidSignature


def verify_event(*, body: bytes, signature: str) -> dict[str, Any]:
    """The event in a webhook's body, if the processor signed it (Stripe's `t=…,v1=…` HMAC-SHA256, 5 minutes).

    Raises InvalidSignature.
    """
    try:
        text = body.decode()
        stripe.WebhookSignature.verify_header(
            text, signature, settings.STRIPE_WEBHOOK_SECRET, stripe.Webhook.DEFAULT_TOLERANCE
        )
        event = json.loads(text)
    except (stripe.SignatureVerificationError, ValueError) as broken:
        raise InvalidSignature("This event is not signed as the processor signs.") from broken
    if not isinstance(event, dict) or event.get("object") != "event":
        raise InvalidSignature("This is not an event.")
    return event
