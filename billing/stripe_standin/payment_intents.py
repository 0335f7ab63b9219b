"""PaymentIntents: created, confirmed, asked of the bank, succeeded or declined, cancelled."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from billing.stripe_standin.cards import CARDS, TestCard
from billing.stripe_standin.charges import charge
from billing.stripe_standin.store import Object
from billing.stripe_standin.wire import Answer, ApiError, Call, invalid, listing

KIND = "payment_intent"
# docs.stripe.com/currencies#minimum-and-maximum-charge-amounts, for those the store is likely to use.
MINIMUM = {"usd": 50, "eur": 50, "gbp": 30, "jpy": 50}
_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
_REASONS = ("abandoned", "duplicate", "fraudulent", "requested_by_customer")


def create(call: Call) -> Answer:
    """POST /v1/payment_intents"""
    amount = call.integer("amount", call.require("amount"))
    currency = str(call.require("currency")).lower()
    if amount < 1:
        raise invalid(
            "This value must be greater than or equal to 1.", code="parameter_invalid_integer", param="amount"
        )
    if amount < MINIMUM.get(currency, 1):
        raise invalid(
            f"Amount must be at least {MINIMUM[currency]} {currency}", code="amount_too_small", param="amount"
        )
    if amount > 99_999_999:
        raise invalid("Amount must be no more than $999,999.99", code="amount_too_large", param="amount")
    method = call.params.get("payment_method")
    if method is not None:
        _card(method)
    id_ = call.store.new_id("pi")
    automatic = call.params.get("automatic_payment_methods")
    intent: Object = {
        "id": id_,
        "object": KIND,
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None
        if automatic is None
        else {**automatic, "enabled": automatic.get("enabled") == "true"},
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{id_}_secret_{secrets.token_hex(12)}",
        "confirmation_method": "automatic",
        "created": call.now,
        "currency": currency,
        "customer": call.params.get("customer"),
        "description": call.params.get("description"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": call.params.get("metadata") or {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": method,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": call.params.get("receipt_email"),
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_confirmation" if method else "requires_payment_method",
        "transfer_data": None,
        "transfer_group": call.params.get("transfer_group"),
    }
    call.store.put(intent)
    call.emit("payment_intent.created", intent)
    if call.params.get("confirm") == "true":
        return _confirm(call, intent)
    return 200, intent


def pay_on_page(call: Call, *, amount: int, currency: str, customer: str, metadata: Object) -> Object:
    """What opening a page of Stripe's does: pays by `payment_method` or a good card. The intent, as it went."""
    parameters = {
        "amount": str(amount),
        "currency": currency,
        "customer": customer,
        "payment_method": call.params.get("payment_method", "pm_card_bypassPending"),
        "confirm": "true",
        "metadata": metadata,
    }
    status, answer = create(replace(call, params=parameters))
    return answer if status == 200 else answer["error"]["payment_intent"]


def retrieve(call: Call) -> Answer:
    """GET /v1/payment_intents/{id}"""
    return 200, call.find(KIND, call.ids[0])


def list_intents(call: Call) -> Answer:
    """GET /v1/payment_intents"""
    return listing(call, KIND, "/v1/payment_intents", "customer")


def confirm(call: Call) -> Answer:
    """POST /v1/payment_intents/{id}/confirm"""
    intent = call.find(KIND, call.ids[0], "intent")
    if intent["status"] not in _OPEN:
        raise _unexpected("confirm", intent)
    if "payment_method" in call.params:
        _card(call.params["payment_method"])
        intent["payment_method"] = call.params["payment_method"]
    return _confirm(call, intent)


def _confirm(call: Call, intent: Object) -> Answer:
    method = intent["payment_method"]
    if method is None:
        raise invalid(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            code="payment_intent_unexpected_state",
        )
    card = _card(method)
    if card.authenticate:
        intent |= {
            "status": "requires_action",
            "next_action": {
                "type": "use_stripe_sdk",
                "use_stripe_sdk": {"type": "three_d_secure_redirect", "source": f"src_{intent['id'][3:]}"},
            },
        }
        call.store.put(intent)
        call.emit("payment_intent.requires_action", intent)
        return 200, intent
    if card.takes_days:
        intent["status"] = "processing"
        call.store.put(intent)
        call.emit("payment_intent.processing", intent)
        return 200, intent
    return _take(call, intent, card, method)


def authenticate(call: Call) -> Answer:
    """POST /_standin/payment_intents/{id}/authenticate: what the shopper does at the bank's page, or a bank late."""
    intent = call.find(KIND, call.ids[0], "intent")
    if intent["status"] not in ("requires_action", "processing"):
        raise _unexpected("authenticate", intent)
    if call.params.get("outcome", "success") == "success":
        return _take(call, intent, TestCard("3184"), intent["payment_method"])
    error = {
        "type": "invalid_request_error",
        "code": "payment_intent_authentication_failure",
        "message": "The provided PaymentMethod has failed authentication.",
    }
    _back_to_start(call, intent, error)
    return 200, intent


def _take(call: Call, intent: Object, card: TestCard, method: str) -> Answer:
    taken = charge(call, intent, card, method)
    intent["latest_charge"] = taken["id"]
    if not card.code:
        intent |= {
            "status": "succeeded",
            "amount_received": intent["amount"],
            "next_action": None,
            "last_payment_error": None,
        }
        call.store.put(intent)
        call.emit("payment_intent.succeeded", intent)
        return 200, intent
    error: dict[str, Any] = {
        "type": "card_error",
        "code": card.code,
        "decline_code": card.decline_code,
        "message": card.message,
        "charge": taken["id"],
        "doc_url": f"https://stripe.com/docs/error-codes/{card.code.replace('_', '-')}",
    }
    _back_to_start(call, intent, error)
    return 402, {"error": {**error, "payment_intent": intent}}


def _back_to_start(call: Call, intent: Object, error: Object) -> None:
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "next_action": None,
        "last_payment_error": error,
    }
    call.store.put(intent)
    call.emit("payment_intent.payment_failed", intent)


def cancel(call: Call) -> Answer:
    """POST /v1/payment_intents/{id}/cancel"""
    intent = call.find(KIND, call.ids[0], "intent")
    if intent["status"] not in _OPEN:
        raise _unexpected("cancel", intent)
    reason = call.params.get("cancellation_reason")
    if reason is not None and reason not in _REASONS:
        raise invalid("Invalid cancellation_reason", param="cancellation_reason")
    intent |= {
        "status": "canceled",
        "canceled_at": call.now,
        "cancellation_reason": reason,
        "next_action": None,
    }
    call.store.put(intent)
    call.emit("payment_intent.canceled", intent)
    return 200, intent


def _card(method: Any) -> TestCard:
    card = CARDS.get(str(method))
    if card is None:
        raise invalid(f"No such PaymentMethod: '{method}'", code="resource_missing", param="payment_method")
    return card


def _unexpected(verb: str, intent: Object) -> ApiError:
    return ApiError(
        400,
        "invalid_request_error",
        f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}.",
        code="payment_intent_unexpected_state",
        payment_intent=intent,
    )
