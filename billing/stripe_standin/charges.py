"""Charges and the balance transactions that they and their refunds make."""

from __future__ import annotations

from agentstore.kit.money import half_even
from billing.stripe_standin.cards import TestCard
from billing.stripe_standin.store import Object
from billing.stripe_standin.wire import Answer, Call, listing

FEE_PPM = 29_000
FEE_FIXED = 30
PAYOUT_DELAY_SECONDS = 2 * 86_400


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
        "customer": None,
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
        "payment_method_details": {"card": {"brand": card.brand, "last4": card.last4}, "type": "card"},
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
        settled = balance_transaction(call, thing, amount=thing["amount"], fee=fee, type_="charge")
        thing["balance_transaction"] = settled["id"]
    call.store.put(thing)
    call.emit("charge.succeeded" if ok else "charge.failed", thing)
    return thing


def balance_transaction(call: Call, source: Object, *, amount: int, fee: int, type_: str) -> Object:
    """A movement of the balance: what came in or went out, and what Stripe keeps of it."""
    details = []
    if fee:
        details = [
            {
                "amount": fee,
                "application": None,
                "currency": source["currency"],
                "description": "Stripe processing fees",
                "type": "stripe_fee",
            }
        ]
    return call.store.put(
        {
            "id": call.store.new_id("txn"),
            "object": "balance_transaction",
            "amount": amount,
            "available_on": call.now + PAYOUT_DELAY_SECONDS,
            "balance_type": "payments",
            "created": call.now,
            "currency": source["currency"],
            "description": None,
            "exchange_rate": None,
            "fee": fee,
            "fee_details": details,
            "net": amount - fee,
            "reporting_category": type_,
            "source": source["id"],
            "status": "pending",
            "type": type_,
        }
    )


def _settle(call: Call, thing: Object) -> Object:
    """A transaction becomes available when the clock says so."""
    if thing["available_on"] <= call.now:
        thing["status"] = "available"
    return thing


def retrieve(call: Call) -> Answer:
    """GET /v1/charges/{id}"""
    return 200, call.find("charge", call.ids[0])


def list_charges(call: Call) -> Answer:
    """GET /v1/charges"""
    return listing(call, "charge", "/v1/charges", "payment_intent")


def retrieve_transaction(call: Call) -> Answer:
    """GET /v1/balance_transactions/{id}"""
    return 200, _settle(call, call.find("balance_transaction", call.ids[0]))


def list_transactions(call: Call) -> Answer:
    """GET /v1/balance_transactions"""
    status, page = listing(
        call, "balance_transaction", "/v1/balance_transactions", "source", "type", "currency"
    )
    page["data"] = [_settle(call, thing) for thing in page["data"]]
    return status, page
