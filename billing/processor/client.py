"""The SDK's client, configured: address, key, timeouts, retries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import stripe
from django.conf import settings

from billing.processor.errors import Declined, ProcessorRefused, ProcessorUnavailable

# A checkout waits for this: short enough for a person, retried under the same idempotency key.
TIMEOUT_SECONDS = 20
RETRIES = 2

_KIND_WORDS = {
    "insufficient_funds": "The card has not enough funds for this.",
    "expired_card": "The card has expired.",
    "incorrect_cvc": "The card's security code is not right.",
    "authentication_required": "The bank wants you to confirm this payment.",
}


def decline_words(code: str) -> str:
    """A decline by its code, in words for people; empty for none."""
    return _KIND_WORDS.get(code, "The card was declined.") if code else ""


@lru_cache(maxsize=8)
def _client(key: str, base: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        base_addresses={"api": base},
        max_network_retries=RETRIES,
        http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
    )


def client() -> stripe.StripeClient:
    """The client for the settings of now (tests and demo point it to a stand-in)."""
    return _client(settings.STRIPE_API_KEY, settings.STRIPE_API_BASE)


def dashboard_search() -> str:
    """Where people find one of the processor's objects, its id to be added; empty where a stand-in answers."""
    if settings.STRIPE_API_BASE != stripe.DEFAULT_API_BASE:
        return ""
    test = "test/" if settings.STRIPE_API_KEY.split("_")[1:2] == ["test"] else ""
    return f"https://dashboard.stripe.com/{test}search?query="


def reference_of(thing: stripe.StripeObject) -> str:
    """Our own reference in an object's metadata; empty for what the store did not make."""
    metadata = thing.to_dict().get("metadata") or {}
    return str(metadata.get("reference", ""))


@contextmanager
def typed_errors() -> Iterator[None]:
    """The SDK's exceptions as ours: Declined, ProcessorUnavailable, ProcessorRefused."""
    try:
        yield
    except stripe.CardError as declined:
        reason = getattr(declined.error, "decline_code", None) or declined.code or "card_declined"
        raise Declined(
            decline_words(reason),
            decline_code=reason,
            hint="Try another card, or ask your bank.",
        ) from declined
    except (stripe.APIConnectionError, stripe.RateLimitError) as away:
        raise ProcessorUnavailable(
            "The payment service is not answering.", hint="Try again in a moment; you were not charged twice."
        ) from away
    except (stripe.InvalidRequestError, stripe.IdempotencyError) as refused:
        raise ProcessorRefused(
            refused.user_message or "The payment service refused.", processor_code=refused.code or ""
        ) from refused
    except stripe.PermissionError as forbidden:
        if forbidden.code != "account_invalid":
            raise ProcessorUnavailable(
                "The payment service has a fault.", hint="Try again later."
            ) from forbidden
        raise ProcessorRefused(
            "The payment service knows this account no more.", processor_code=forbidden.code
        ) from forbidden
    except stripe.StripeError as broken:
        raise ProcessorUnavailable("The payment service has a fault.", hint="Try again later.") from broken
