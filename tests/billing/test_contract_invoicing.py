"""Invoices, their taxes and credit notes: one contract for Stripe and its stand-in."""

from __future__ import annotations

import pytest

from agentstore.kit.money import Money
from billing.processor import crediting, customers, invoicing
from billing.processor.client import client
from billing.processor.errors import ProcessorRefused

BERLIN = customers.BillTo(
    name="Audio Haus",
    email="mia@example.com",
    country="DE",
    postal_code="10115",
    city="Berlin",
    line1="Weg 1",
)


def cents(amount: int) -> Money:
    return Money.from_minor(amount, "USD")


def draft(
    reference: str, customer: str = "", *, taxed: bool = False, lines: tuple[int, ...] = (30_075, 1_925)
):
    customer = customer or customers.create_customer(reference=reference)
    if taxed:
        customers.update_customer(customer_id=customer, bill_to=BERLIN)
    invoice = invoicing.create_invoice(
        reference=reference,
        customer_id=customer,
        currency="USD",
        days_until_due=14,
        description="October",
        taxed=taxed,
    )
    for number, amount in enumerate(lines):
        invoicing.add_line(
            reference=f"{reference}-{number}",
            invoice_id=invoice.id,
            customer_id=customer,
            amount=cents(amount),
            description=f"line {number}",
        )
    return customer, invoice.id


def issued(reference: str, **more) -> tuple[str, invoicing.ProcessorInvoice]:
    customer, invoice_id = draft(reference, **more)
    return customer, invoicing.finalize_invoice(invoice_id=invoice_id)


def test_an_invoice_is_made_once_however_often_it_is_asked_for(processor, reference):
    customer, first = draft(reference)
    assert draft(reference, customer) == (customer, first)
    assert customers.create_customer(reference=reference) == customer
    invoice = invoicing.finalize_invoice(invoice_id=first)
    assert invoicing.finalize_invoice(invoice_id=first) == invoice
    assert (invoice.status, invoice.total, invoice.tax) == ("open", cents(32_000), cents(0))
    assert invoice.number
    assert invoice.due_at is not None
    assert invoice.url
    found = invoicing.find_invoice(reference=reference, customer_id=customer)
    assert found is not None
    assert found.id == first
    assert invoicing.find_invoice(reference="another", customer_id=customer) is None


def test_a_reference_is_one_invoice_line(processor, reference):
    customer, invoice_id = draft(reference)
    with pytest.raises(ProcessorRefused):
        invoicing.add_line(
            reference=f"{reference}-0",
            invoice_id=invoice_id,
            customer_id=customer,
            amount=cents(1),
            description="line 0",
        )
    assert set(invoicing.line_references(invoice_id=invoice_id)) == {f"{reference}-0", f"{reference}-1"}


def test_nothing_is_added_to_an_invoice_that_is_final(processor, reference):
    customer, invoice = issued(reference)
    with pytest.raises(ProcessorRefused):
        invoicing.add_line(
            reference="late", invoice_id=invoice.id, customer_id=customer, amount=cents(1), description="late"
        )


def test_tax_needs_an_address(processor, reference):
    customer = customers.create_customer(reference=reference)
    with pytest.raises(ProcessorRefused) as refused:
        invoicing.create_invoice(
            reference=f"{reference}-t",
            customer_id=customer,
            currency="USD",
            days_until_due=14,
            description="",
            taxed=True,
        )
    assert refused.value.details["processor_code"] == "customer_tax_location_invalid"


@pytest.mark.parametrize(
    ("exempt", "tax", "reason"), [("none", 6_080, "standard_rated"), ("reverse", 0, "reverse_charge")]
)
def test_taxes_are_stripe_taxs(standin, reference, exempt, tax, reason):
    """In Germany 19 %, or by the customer where it says that it pays the tax itself."""
    customer, invoice_id = draft(reference, taxed=True)
    customers.update_customer(
        customer_id=customer, bill_to=customers.BillTo("A", "a@example.com", "DE", tax_exempt=exempt)
    )
    invoice = invoicing.finalize_invoice(invoice_id=invoice_id)
    assert (invoice.tax, invoice.total) == (cents(tax), cents(32_000 + tax))
    assert [part.reason for part in invoice.taxes] == [reason]


def test_tax_comes_on_top_of_the_amount_in_every_currency(standin, reference):
    customer = customers.create_customer(reference=reference)
    customers.update_customer(customer_id=customer, bill_to=BERLIN)
    invoice = invoicing.create_invoice(
        reference=reference,
        customer_id=customer,
        currency="EUR",
        days_until_due=14,
        description="October",
        taxed=True,
    )
    euros = Money.from_minor(1_000, "EUR")
    invoicing.add_line(
        reference=reference, invoice_id=invoice.id, customer_id=customer, amount=euros, description="one"
    )
    final = invoicing.finalize_invoice(invoice_id=invoice.id)
    assert (final.tax, final.total) == (Money.from_minor(190, "EUR"), Money.from_minor(1_190, "EUR"))


def test_a_credit_note_lessens_what_is_to_be_paid(processor, reference):
    _, invoice = issued(reference)

    def credit(amount: int, number: int = 0, line: int = 0) -> crediting.ProcessorCreditNote:
        return crediting.credit_lines(
            reference=f"{reference}-c{number}",
            invoice_id=invoice.id,
            amounts={f"{reference}-{line}": cents(amount)},
            memo="not recommended",
        )

    assert credit(75).id == credit(75).id
    assert invoicing.retrieve_invoice(invoice_id=invoice.id).remaining == cents(31_925)
    with pytest.raises(ProcessorRefused):
        credit(30_076, 1)
    credit(30_000, 2)
    credit(1_925, 3, line=1)
    assert invoicing.retrieve_invoice(invoice_id=invoice.id).status == "paid", "nothing is left to pay"


def test_an_invoice_can_be_paid_elsewhere_once(processor, reference):
    _, invoice = issued(reference)
    client().v1.invoices.pay(invoice.id, {"paid_out_of_band": True})
    paid = invoicing.retrieve_invoice(invoice_id=invoice.id)
    assert (paid.status, paid.remaining) == ("paid", cents(0))
    assert paid.paid_at is not None
    assert invoicing.fee_of_invoice(invoice_id=invoice.id) is None
    with pytest.raises(ProcessorRefused):
        invoicing.give_up_invoice(invoice_id=invoice.id)


def test_an_invoice_that_nobody_pays_is_given_up(processor, reference):
    _, invoice = issued(reference)
    assert invoicing.give_up_invoice(invoice_id=invoice.id).status == "uncollectible"
    assert invoicing.give_up_invoice(invoice_id=invoice.id).status == "uncollectible"


def test_a_draft_can_not_be_credited_or_given_up(processor, reference):
    _, invoice_id = draft(reference)
    with pytest.raises(ProcessorRefused):
        invoicing.give_up_invoice(invoice_id=invoice_id)
    with pytest.raises(ProcessorRefused):
        crediting.credit_lines(
            reference=reference, invoice_id=invoice_id, amounts={f"{reference}-0": cents(1)}, memo=""
        )


def test_what_was_paid_and_credited_comes_off_the_next_invoice(standin, reference):
    customer, invoice = issued(reference, taxed=True)
    standin.get(f"/invoices/{invoice.id}/pay")
    charge, fee = invoicing.fee_of_invoice(invoice_id=invoice.id) or ("", cents(0))
    assert charge.startswith("ch_")
    assert fee == cents(1_134)  # 2.9 % of 380.80 and 30 cents
    note = crediting.credit_lines(
        reference=reference, invoice_id=invoice.id, amounts={f"{reference}-0": cents(10_000)}, memo=""
    )
    assert (note.total, note.tax) == (cents(11_900), cents(1_900))
    _, following = issued(f"{reference}-next", customer=customer, lines=(20_000,))
    assert (following.total, following.due) == (cents(20_000), cents(8_100))


def test_credit_is_added_once_and_comes_off_the_next_invoice(processor, reference):
    customer, _ = draft(reference)
    for _ in range(2):
        added = customers.add_credit(
            reference=reference, customer_id=customer, amount=cents(500), description="paid twice"
        )
        assert added == cents(500)
    _, following = issued(f"{reference}-next", customer=customer, lines=(20_000,))
    assert (following.total, following.due) == (cents(20_000), cents(19_500))


def test_what_is_owed_outside_of_the_processor_is_credited_there(processor, reference):
    customer, invoice = issued(reference)
    client().v1.invoices.pay(invoice.id, {"paid_out_of_band": True})
    note = crediting.credit_lines(
        reference=reference,
        invoice_id=invoice.id,
        amounts={f"{reference}-0": cents(100)},
        memo="x",
        owed_here=cents(60),
    )
    assert (note.total, note.kept) == (cents(100), cents(40))
    assert client().v1.customers.retrieve(customer).balance == -40


def test_a_card_that_is_declined_leaves_the_invoice_open(standin, reference):
    _, invoice = issued(reference)
    standin.get(f"/invoices/{invoice.id}/pay", payment_method="pm_card_chargeDeclined")
    assert invoicing.retrieve_invoice(invoice_id=invoice.id).status == "open"
