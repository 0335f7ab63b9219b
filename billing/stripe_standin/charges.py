"""Charges: what came of trying a card."""

from __future__ import annotations

from agentstore.kit.money import half_even
from billing.stripe_standin import balance, disputes
from billing.stripe_standin.cards import TestCard
from billing.stripe_standin.store import Object
from billing.stripe_standin.wire import Answer, Call, listing

FEE_PPM = 29_000
FEE_FIXED = 30


def charge(call: Call, intent: Object, card: TestCard, method: str) -> Object:
    """Try a card: a succeeded charge with its balance transaction, or a failed one."""
    ok = not card.code
    thing: Object = {
        "id": call.store.new_id("ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if ok else 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": {"address": None, "email": None, "name": None, "phone": None, "tax_id": None},
        "calculated_statement_descriptor": "AGENT STORE",
        "captured": ok,
        "created": call.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": card.code or None,
        "failure_message": card.message or None,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent["metadata"],
        "on_behalf_of": None,
        "outcome": {
            "network_status": "approved_by_network" if ok else "declined_by_network",
            "reason": card.decline_code or None,
            "risk_level": "normal",
            "seller_message": "Payment complete." if ok else card.message,
            "type": "authorized" if ok else "issuer_declined",
        },
        "paid": ok,
        "payment_intent": intent["id"],
        "payment_method": method,
        "payment_method_details": {
            "card": {"brand": card.brand, "exp_month": 12, "exp_year": 2040, "last4": card.last4},
            "type": "card",
        },
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "succeeded" if ok else "failed",
        "transfer_data": None,
        "transfer_group": intent["transfer_group"],
    }
    if ok:
        fee = half_even(thing["amount"] * FEE_PPM, 1_000_000) + FEE_FIXED
        delay = 0 if card.settles_at_once else balance.PAYOUT_DELAY_SECONDS
        settled = balance.record(call, thing, amount=thing["amount"], fee=fee, type_="charge", delay=delay)
        thing["balance_transaction"] = settled["id"]
    call.store.put(thing)
    call.emit("charge.succeeded" if ok else "charge.failed", thing)
    if card.disputed:
        disputes.open_dispute(call, thing)
    return thing


def retrieve(call: Call) -> Answer:
    """GET /v1/charges/{id}"""
    return 200, call.find("charge", call.ids[0])


def list_charges(call: Call) -> Answer:
    """GET /v1/charges"""
    return listing(call, "charge", "/v1/charges", "payment_intent")
