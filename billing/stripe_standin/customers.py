"""Customers: whom invoices are for, and where they are taxed."""

from __future__ import annotations

from billing.stripe_standin.store import Object
from billing.stripe_standin.wire import Answer, Call, invalid, listing

MOVED = "customer_balance_transaction"
_ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")
_EXEMPT = ("none", "exempt", "reverse")


def create(call: Call) -> Answer:
    """POST /v1/customers"""
    id_ = call.store.new_id("cus")
    customer: Object = {
        "id": id_,
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": call.now,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": id_[-8:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    _change(call, customer)
    call.store.put(customer)
    call.emit("customer.created", customer)
    return 200, customer


def _change(call: Call, customer: Object) -> None:
    for name in ("email", "name", "description"):
        if name in call.params:
            customer[name] = call.params[name] or None
    if "address" in call.params:
        given = call.params["address"] or {}
        customer["address"] = {part: given.get(part) or None for part in _ADDRESS}
    if "tax_exempt" in call.params:
        if call.params["tax_exempt"] not in _EXEMPT:
            raise invalid("Invalid tax_exempt: must be one of none, exempt, or reverse", param="tax_exempt")
        customer["tax_exempt"] = call.params["tax_exempt"]
    customer["metadata"] |= call.params.get("metadata") or {}


def retrieve(call: Call) -> Answer:
    """GET /v1/customers/{id}"""
    return 200, call.find("customer", call.ids[0])


def update(call: Call) -> Answer:
    """POST /v1/customers/{id}"""
    customer = call.find("customer", call.ids[0])
    _change(call, customer)
    call.store.put(customer)
    call.emit("customer.updated", customer)
    return 200, customer


def list_customers(call: Call) -> Answer:
    """GET /v1/customers"""
    return listing(call, "customer", "/v1/customers", "email")


def change_balance(call: Call) -> Answer:
    """POST /v1/customers/{id}/balance_transactions: negative is the customer's credit."""
    customer = call.find("customer", call.ids[0])
    amount = call.integer("amount", call.require("amount"))
    currency = str(call.require("currency")).lower()
    if not amount:
        raise invalid("Invalid non-zero integer", param="amount")
    customer["balance"] += amount
    call.store.put(customer)
    moved: Object = {
        "id": call.store.new_id("cbtxn"),
        "object": MOVED,
        "amount": amount,
        "checkout_session": None,
        "created": call.now,
        "credit_note": None,
        "currency": currency,
        "customer": customer["id"],
        "customer_account": None,
        "description": call.params.get("description"),
        "ending_balance": customer["balance"],
        "invoice": None,
        "livemode": False,
        "metadata": call.params.get("metadata") or {},
        "type": "adjustment",
    }
    return 200, call.store.put(moved)


def list_balance(call: Call) -> Answer:
    """GET /v1/customers/{id}/balance_transactions: what was changed by hand."""
    customer = call.find("customer", call.ids[0])
    call.params["customer"] = customer["id"]
    return listing(call, MOVED, f"/v1/customers/{customer['id']}/balance_transactions", "customer")
