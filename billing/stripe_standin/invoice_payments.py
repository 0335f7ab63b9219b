"""Paying invoices: the page that Stripe hosts for it, and what was paid elsewhere."""

from __future__ import annotations

from billing.stripe_standin import payment_intents
from billing.stripe_standin.invoices import payable, settle
from billing.stripe_standin.wire import Answer, Call, invalid, listing


def pay(call: Call) -> Answer:
    """POST /v1/invoices/{id}/pay: outside of Stripe only; no customer has a card on file here."""
    invoice = payable(call)
    if call.params.get("paid_out_of_band") != "true":
        raise invalid(
            "This customer has no attached payment source or default payment method. Please consider adding"
            " a default payment method.",
            code="resource_missing",
        )
    invoice["amount_paid_off_stripe"] = invoice["amount_remaining"]
    invoice["amount_paid"] = invoice["amount_remaining"]
    settle(call, invoice)
    return 200, invoice


def open_page(call: Call) -> Answer:
    """GET /_standin/invoices/{id}/pay: who opens the page has paid, by `payment_method` or a good card."""
    invoice = payable(call)
    intent = payment_intents.pay_on_page(
        call,
        amount=invoice["amount_remaining"],
        currency=invoice["currency"],
        customer=invoice["customer"],
        metadata={"invoice": invoice["id"]},
    )
    invoice |= {"attempted": True, "attempt_count": invoice["attempt_count"] + 1}
    if intent["status"] != "succeeded":
        call.store.put(invoice)
        call.emit("invoice.payment_failed", invoice)
        return 200, invoice
    payment = call.store.put(
        {
            "id": call.store.new_id("inpay"),
            "object": "invoice_payment",
            "amount_paid": intent["amount"],
            "amount_requested": intent["amount"],
            "created": call.now,
            "currency": intent["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "livemode": False,
            "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
            "status": "paid",
            "status_transitions": {"canceled_at": None, "paid_at": call.now},
        }
    )
    invoice["payments"]["data"].append(payment)
    invoice["amount_paid"] = intent["amount"]
    settle(call, invoice)
    return 200, invoice


def list_payments(call: Call) -> Answer:
    """GET /v1/invoice_payments"""
    return listing(
        call,
        "invoice_payment",
        "/v1/invoice_payments",
        "invoice",
        "status",
        "payment.payment_intent",
        "payment.type",
    )
