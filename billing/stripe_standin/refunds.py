"""Refunds of a part or all of a charge; never more than is left of it."""

from __future__ import annotations

from billing.stripe_standin import balance
from billing.stripe_standin.store import Object
from billing.stripe_standin.wire import Answer, Call, invalid, listing

_REASONS = ("duplicate", "fraudulent", "requested_by_customer")


def create(call: Call) -> Answer:
    """POST /v1/refunds"""
    charge = _charge(call)
    if charge["disputed"]:
        raise invalid(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    left = charge["amount_captured"] - charge["amount_refunded"]
    if left == 0:
        raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    amount = call.integer("amount", call.params["amount"]) if "amount" in call.params else left
    if amount < 1:
        raise invalid("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if amount > left:
        raise invalid(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", param="amount"
        )
    reason = call.params.get("reason")
    if reason is not None and reason not in _REASONS:
        raise invalid("Invalid reason", param="reason")
    refund: Object = {
        "id": call.store.new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": call.now,
        "currency": charge["currency"],
        "destination_details": {"card": {"reference_status": "pending", "type": "refund"}, "type": "card"},
        "metadata": call.params.get("metadata") or {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
    # Stripe keeps its fee when a payment is refunded.
    settled = balance.record(call, refund, amount=-amount, type_="refund")
    refund["balance_transaction"] = settled["id"]
    call.store.put(refund)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    call.store.put(charge)
    call.emit("refund.created", refund)
    call.emit("charge.refunded", charge)
    return 200, refund


def _charge(call: Call) -> Object:
    if "charge" in call.params:
        return call.find("charge", call.params["charge"], "charge")
    if "payment_intent" not in call.params:
        raise invalid(
            "One of the following params should be provided for this request: payment_intent or charge.",
            code="parameter_missing",
        )
    intent = call.find("payment_intent", call.params["payment_intent"], "payment_intent")
    if intent["status"] != "succeeded":
        raise invalid(
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
            param="payment_intent",
        )
    return call.find("charge", intent["latest_charge"], "charge")


def retrieve(call: Call) -> Answer:
    """GET /v1/refunds/{id}"""
    return 200, call.find("refund", call.ids[0])


def list_refunds(call: Call) -> Answer:
    """GET /v1/refunds"""
    return listing(call, "refund", "/v1/refunds", "payment_intent", "charge")
