"""Signed events from the processor."""

from __future__ import annotations

import json
from typing import Any

import stripe
from django.conf import settings

from billing.processor.errors import InvalidSignature


def verify_event(*, body: bytes, signature: str) -> dict[str, Any]:
    """The event in a webhook's body, if the processor signed it (Stripe's `t=…,v1=…` HMAC-SHA256, 5 minutes).

    By the secret of the store's own endpoint, or of the one for connected accounts. Raises InvalidSignature.
    """
    secrets = [
        secret
        for secret in (settings.STRIPE_WEBHOOK_SECRET, settings.STRIPE_CONNECT_WEBHOOK_SECRET)
        if secret
    ]
    try:
        text = body.decode()
        if not any(_signed(text, signature, secret) for secret in secrets):
            raise InvalidSignature("This event is not signed as the processor signs.")
        event = json.loads(text)
    except ValueError as broken:
        raise InvalidSignature("This event is not signed as the processor signs.") from broken
    if not isinstance(event, dict) or event.get("object") != "event":
        raise InvalidSignature("This is not an event.")
    return event


def _signed(text: str, signature: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(text, signature, secret, stripe.Webhook.DEFAULT_TOLERANCE)
    except stripe.SignatureVerificationError:
        return False
    return True
