"""Checkout sessions: a page of Stripe's own on which one amount is paid. Payments only, of one line."""

from __future__ import annotations

from typing import Any

from billing.stripe_standin import payment_intents
from billing.stripe_standin.store import Object
from billing.stripe_standin.wire import Answer, Call, invalid

KIND = "checkout.session"
_OPEN_SECONDS = 86_400


def create(call: Call) -> Answer:
    """POST /v1/checkout/sessions"""
    if call.require("mode") != "payment":
        raise invalid("The stand-in takes payments only.", param="mode")
    customer = call.find("customer", call.require("customer"), "customer")
    amount, currency = _line(call)
    if amount < payment_intents.MINIMUM.get(currency, 1):
        raise invalid(
            "The Checkout Session's total amount due must add up to at least the smallest payment.",
            code="amount_too_small",
        )
    id_ = call.store.new_id("cs_test")
    automatic_tax = {"enabled": False, "liability": None, "provider": None, "status": None}
    text = dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance"))
    session: Object = {
        "id": id_,
        "object": KIND,
        "amount_subtotal": amount,
        "amount_total": amount,
        "automatic_tax": automatic_tax,
        "cancel_url": call.params.get("cancel_url"),
        "client_reference_id": call.params.get("client_reference_id"),
        "created": call.now,
        "currency": currency,
        "custom_fields": [],
        "custom_text": text,
        "customer": customer["id"],
        "expires_at": call.now + _OPEN_SECONDS,
        "livemode": False,
        "metadata": call.params.get("metadata") or {},
        "mode": "payment",
        "payment_intent": None,
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "shipping_options": [],
        "status": "open",
        "success_url": call.require("success_url"),
        "ui_mode": "hosted_page",
        "url": f"{call.base}/_standin/checkout/{id_}/pay",
        "_payment_metadata": (call.params.get("payment_intent_data") or {}).get("metadata") or {},
    }
    return 200, call.store.put(session)


def _line(call: Call) -> tuple[int, str]:
    lines: Any = call.require("line_items")
    if not isinstance(lines, list) or len(lines) != 1 or lines[0].get("quantity") != "1":
        raise invalid("The stand-in takes one line of one.", param="line_items")
    price = lines[0].get("price_data") or {}
    if not (price.get("product_data") or {}).get("name"):
        raise invalid("Missing required param: line_items[0][price_data][product_data][name].")
    return call.integer("unit_amount", price.get("unit_amount")), str(price.get("currency", "")).lower()


def retrieve(call: Call) -> Answer:
    """GET /v1/checkout/sessions/{id}"""
    return 200, _now(call)


def _now(call: Call) -> Object:
    """The session as it is by the clock: open for a day."""
    session = call.find(KIND, call.ids[0], "session")
    if session["status"] == "open" and session["expires_at"] <= call.now:
        _close(call, session)
    return session


def _close(call: Call, session: Object) -> None:
    session |= {"status": "expired", "url": None}
    call.store.put(session)
    call.emit("checkout.session.expired", session)


def expire(call: Call) -> Answer:
    """POST /v1/checkout/sessions/{id}/expire"""
    session = _now(call)
    if session["status"] != "open":
        raise invalid(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This one has a status of'
            f" {session['status']}."
        )
    _close(call, session)
    return 200, session


def open_page(call: Call) -> Answer:
    """GET /_standin/checkout/{id}/pay: who opens the page has paid, by `payment_method` or a good card."""
    session = _now(call)
    if session["status"] != "open":
        return 303, {"location": session["cancel_url"] or session["success_url"]}
    intent = payment_intents.pay_on_page(
        call,
        amount=session["amount_total"],
        currency=session["currency"],
        customer=session["customer"],
        metadata=session["_payment_metadata"],
    )
    if intent["status"] not in ("succeeded", "processing"):
        return 200, session
    session |= {
        "status": "complete",
        "payment_status": "paid" if intent["status"] == "succeeded" else "unpaid",
        "payment_intent": intent["id"],
        "url": None,
    }
    call.store.put(session)
    call.emit("checkout.session.completed", session)
    return 303, {"location": session["success_url"]}
