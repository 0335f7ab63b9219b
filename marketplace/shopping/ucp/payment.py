"""How a platform can pay: one handler, which takes the processor's own payment method tokens.

Outside of test mode the store has no card form for programs yet: it offers no handler then, and hands the
buyer over to its own pages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings

from agentstore.kit.errors import Refused
from billing.processor.test_methods import TEST_METHODS, takes_test_cards
from marketplace.catalog.ucp.objects import absolute
from marketplace.catalog.ucp.versions import version

Json = dict[str, Any]
HANDLER_ID: Final = "processor_token"


class PaymentRefused(Refused):
    """The instrument is not one that this store takes."""

    code = "payment_instrument_invalid"


def handler_name() -> str:
    """The handler's name: under the store's own host, reversed, since it is the store's own."""
    host = urlsplit(settings.SITE_URL).hostname or ""
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z][a-z0-9-]*", host):
        host = "store.local"
    return ".".join([*reversed(host.split(".")), "processor_token"])


def handlers() -> Json:
    """UCP's registry of payment handlers; empty when platforms cannot pay here."""
    if not takes_test_cards():
        return {}
    spec = absolute("/ucp/payment-handler")
    return {
        handler_name(): [
            {
                "id": HANDLER_ID,
                "version": version(),
                "spec": spec,
                "schema": spec,
                "available_instruments": [{"type": "card"}],
                "config": {"environment": "test"},
            }
        ]
    }


def handler_specification() -> Json:
    """What the handler takes, as a JSON Schema with words."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": absolute("/ucp/payment-handler"),
        "title": "Payment method tokens of the store's card processor",
        "description": (
            "The platform tokenizes a card with the processor and sends the payment method's id. It is charged "
            "once, on completion, and never echoed. It stays usable until the processor says otherwise."
        ),
        "name": handler_name(),
        "type": "object",
        "required": ["type", "token"],
        "properties": {
            "type": {"const": "token"},
            "token": {"type": "string", "enum": sorted(TEST_METHODS)},
            "expiry": {"type": "string", "format": "date-time", "description": "not used: tokens stay valid"},
        },
    }


def read_instrument(payment: Any) -> tuple[str, Mapping[str, Any]]:
    """The token of the selected instrument and its billing address. Raises PaymentRefused."""
    given = payment.get("instruments") if isinstance(payment, dict) else None
    instruments = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    if not instruments:
        raise PaymentRefused("There is no payment instrument.", hint="Send payment.instruments.")
    chosen = next((one for one in instruments if one.get("selected") is True), instruments[0])
    if chosen.get("handler_id") != HANDLER_ID or not handlers():
        raise PaymentRefused("This payment handler is not offered.", hint="See ucp.payment_handlers.")
    credential = chosen.get("credential")
    token = credential.get("token") if isinstance(credential, dict) else None
    if not isinstance(token, str) or token not in TEST_METHODS:
        raise PaymentRefused("The credential is not a token that is taken here.", hint="Try another card.")
    address = chosen.get("billing_address")
    return token, address if isinstance(address, dict) else {}
