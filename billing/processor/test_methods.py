"""The processor's documented test cards (docs.stripe.com/testing), only offered with a test key."""

from __future__ import annotations

from typing import Final

from django.conf import settings

TEST_METHODS: Final = {
    "pm_card_visa": "Visa, pays",
    "pm_card_chargeDeclined": "Declined by the bank",
    "pm_card_chargeDeclinedInsufficientFunds": "Not enough funds",
    "pm_card_authenticationRequired": "Needs 3-D Secure",
}


def takes_test_cards() -> bool:
    """Whether no real money moves: the processor's key is a test key, or a stand-in answers."""
    return str(settings.STRIPE_API_KEY).startswith(("sk_test_", "rk_test_"))
