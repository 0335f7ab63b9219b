"""What the stand-in answers parses as the SDK's typed objects, down to the last field that they declare."""

from __future__ import annotations

import types
import typing
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
import stripe

from agentstore.kit.money import Money
from billing.processor import checkout, connect, crediting, customers, invoicing, payments, transfers
from billing.processor.client import client


def misfits(value: object, hint: object, path: str) -> Iterator[str]:
    """Where a value does not fit an annotation of the SDK's."""
    origin = typing.get_origin(hint)
    options = typing.get_args(hint)
    if origin is typing.Literal:
        if value not in options:
            yield f"{path}: {value!r} is none of {options}"
    elif origin in (typing.Union, types.UnionType):
        objects = [option for option in options if option is not type(None)]
        if len(objects) == 1 and value is not None:
            yield from misfits(value, objects[0], path)
        elif not any(not list(misfits(value, option, path)) for option in options):
            yield f"{path}: {value!r} is not {hint}"
    elif origin is list:
        if not isinstance(value, list):
            yield f"{path}: {value!r} is no list"
        else:
            for number, item in enumerate(value):
                yield from misfits(item, options[0], f"{path}[{number}]")
    elif hint in (int, str, bool, float, Decimal):
        if type(value) is not hint:
            yield f"{path}: {value!r} is no {hint}"
    elif hint is type(None):
        if value is not None:
            yield f"{path}: {value!r} is not None"
    elif isinstance(value, stripe.StripeObject):
        yield from missing_fields(value, path)
    else:
        yield f"{path}: {value!r} is no object"


def missing_fields(thing: stripe.StripeObject, path: str) -> Iterator[str]:
    """Every field that is declared as always there must be there, of the declared type."""
    for name, hint in type(thing).__annotations__.items():
        if name.startswith("_") or name == "OBJECT_NAME":
            continue
        if name not in thing:
            if type(None) not in typing.get_args(hint):
                yield f"{path}.{name} is missing"
            continue
        yield from misfits(thing[name], hint, f"{path}.{name}")


def things() -> Iterator[tuple[str, Any]]:
    """One of everything that the store asks for."""
    v1, ref = client().v1, str(uuid.uuid4())
    payment = payments.create_payment(reference=ref, amount=Money.from_minor(50_000, "USD"))
    payments.confirm_payment(payment_id=payment.id, payment_method="pm_card_bypassPending")
    payments.refund_payment(payment_id=payment.id, amount=Money.from_minor(900, "USD"), reference=ref)
    yield "PaymentIntent", v1.payment_intents.retrieve(payment.id)
    yield "Charge", v1.charges.list({"limit": 1}).data[0]
    yield "Refund", v1.refunds.list({"limit": 1}).data[0]
    yield "BalanceTransaction", v1.balance_transactions.list({"limit": 1}).data[0]
    yield from moved(payment.id)
    yield "Balance", v1.balance.retrieve()
    disputed = payments.create_payment(reference=f"{ref}-d", amount=Money.from_minor(900, "USD"))
    payments.confirm_payment(payment_id=disputed.id, payment_method="pm_card_createDispute")
    yield "Dispute", v1.disputes.list({"payment_intent": disputed.id}).data[0]
    customer = customers.create_customer(reference=ref)
    customers.update_customer(customer_id=customer, bill_to=customers.BillTo("A", "a@example.com", "DE"))
    yield "Customer", v1.customers.retrieve(customer)
    invoice = invoicing.create_invoice(
        reference=ref, customer_id=customer, currency="USD", days_until_due=7, description="", taxed=True
    )
    item = invoicing.add_line(
        reference=ref,
        invoice_id=invoice.id,
        customer_id=customer,
        amount=Money.from_minor(900, "USD"),
        description="x",
    )
    page = checkout.open_page(
        reference=ref,
        customer_id=customer,
        amount=Money.from_minor(900, "USD"),
        name="x",
        paid_url="https://example.com",
        back_url="https://example.com",
    )
    yield "Session", v1.checkout.sessions.retrieve(page.id)
    yield "InvoiceItem", v1.invoice_items.retrieve(item)
    yield "Invoice", v1.invoices.finalize_invoice(invoice.id)
    yield "InvoiceLineItem", v1.invoices.line_items.list(invoice.id).data[0]
    note = crediting.credit_lines(
        reference=ref, invoice_id=invoice.id, amounts={ref: Money.from_minor(100, "USD")}, memo="x"
    )
    yield "CreditNote", v1.credit_notes.retrieve(note.id)
    customers.add_credit(
        reference=ref, customer_id=customer, amount=Money.from_minor(5, "USD"), description="x"
    )
    yield "CustomerBalanceTransaction", v1.customers.balance_transactions.list(customer).data[0]
    yield "Invoice", v1.invoices.pay(invoice.id, {"paid_out_of_band": True})
    yield from connected(ref)
    yield "Event", v1.events.list({"limit": 1}).data[0]


def moved(payment_id: str) -> Iterator[tuple[str, Any]]:
    """The transactions of a payment and its refund, with the objects that moved the money inside."""
    expanded: Any = {"limit": 2, "expand": ["data.source"]}
    refund, charge = client().v1.balance_transactions.list(expanded).data
    for transaction, source, name in ((refund, stripe.Refund, "Refund"), (charge, stripe.Charge, "Charge")):
        assert isinstance(transaction.source, source)
        assert transaction.source.payment_intent == payment_id
        yield "BalanceTransaction", transaction
        yield name, transaction.source


def connected(ref: str) -> Iterator[tuple[str, Any]]:
    """What has to do with connected accounts."""
    v1 = client().v1
    account = connect.create_account(reference=ref, country="US", email="a@example.com").id
    yield "Account", v1.accounts.retrieve(account)
    link: Any = {
        "account": account,
        "type": "account_onboarding",
        "return_url": "https://example.com",
        "refresh_url": "https://example.com",
    }
    made = v1.account_links.create(link)
    yield "AccountLink", made
    httpx.get(made.url, follow_redirects=False, timeout=5)  # the account's owner opens the link
    yield "Account", v1.accounts.retrieve(account)
    sent = transfers.send_transfer(reference=ref, account_id=account, amount=Money.from_minor(900, "USD"))
    paid = transfers.create_payout(reference=ref, account_id=account, amount=Money.from_minor(300, "USD"))
    yield "Payout", v1.payouts.retrieve(paid.id, None, {"stripe_account": account})
    reversal: Any = {"amount": 100}
    yield "TransferReversal", v1.transfers.reversals.create(sent.id, reversal)
    yield "Transfer", v1.transfers.retrieve(sent.id)
    yield "Balance", v1.balance.retrieve({}, {"stripe_account": account})


def test_answers_parse_as_the_sdks_typed_objects(standin):
    for name, thing in things():
        assert type(thing).__name__ == name
        found = list(missing_fields(thing, name))
        assert not found, found


def test_the_check_itself_finds_what_is_missing(standin, reference):
    payment = payments.create_payment(reference=reference, amount=Money.from_minor(900, "USD"))
    intent = client().v1.payment_intents.retrieve(payment.id)
    del intent["created"]
    intent["amount"] = "900"
    assert sorted(line.split(":")[0].split(" ")[0] for line in missing_fields(intent, "it")) == [
        "it.amount",
        "it.created",
    ]


@pytest.mark.parametrize("path", ["/v1/subscriptions", "/v1/checkout/sessions"])
def test_what_the_store_does_not_call_is_not_there(standin, path):
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        client().raw_request("get", path)
