"""Stripe's test payment methods and what happens to those who use them (docs.stripe.com/testing)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TestCard:
    """A card's brand and fate: no code means that it is charged."""

    last4: str
    brand: str = "visa"
    code: str = ""
    decline_code: str = ""
    message: str = ""
    authenticate: bool = False
    disputed: bool = False
    settles_at_once: bool = False
    takes_days: bool = False


def _declined(last4: str, code: str, decline_code: str, message: str) -> TestCard:
    return TestCard(last4, code=code, decline_code=decline_code, message=message)


CARDS = {
    "pm_card_visa": TestCard("4242"),
    "pm_card_mastercard": TestCard("4444", brand="mastercard"),
    "pm_card_amex": TestCard("8431", brand="amex"),
    "pm_card_bypassPending": TestCard("0077", settles_at_once=True),
    "pm_card_createDispute": TestCard("0259", disputed=True),
    "pm_usBankAccount_success": TestCard("6789", takes_days=True),
    "pm_card_authenticationRequired": TestCard("3184", authenticate=True),
    "pm_card_threeDSecure2Required": TestCard("3220", authenticate=True),
    "pm_card_chargeDeclined": _declined(
        "0002", "card_declined", "generic_decline", "Your card was declined."
    ),
    "pm_card_chargeDeclinedInsufficientFunds": _declined(
        "9995", "card_declined", "insufficient_funds", "Your card has insufficient funds."
    ),
    "pm_card_chargeDeclinedExpiredCard": _declined(
        "0069", "expired_card", "expired_card", "Your card has expired."
    ),
    "pm_card_chargeDeclinedIncorrectCvc": _declined(
        "0127", "incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."
    ),
    "pm_card_chargeDeclinedProcessingError": _declined(
        "0119", "processing_error", "processing_error", "An error occurred while processing your card."
    ),
}
