"""What comes after the fees, in any order: banks that take payments back, charges that merchants dispute, invoices, and
developers who are paid. The processor is its stand-in.
"""

from __future__ import annotations

import contextlib
import functools
from typing import ClassVar

from django.db.models import QuerySet, Sum
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from agentstore.kit.errors import Conflict
from agentstore.kit.money import Money, half_even
from billing import (
    chargebacks,
    disputes,
    dunning,
    earnings,
    invoices,
    metering,
    payout_accounts,
    payouts,
    posting,
)
from billing.models import ChargeDispute, CreditNote, Invoice, Journal, Payout, PayoutAccount, UsageEvent
from billing.processor import invoicing, payments, transfers
from billing.sales import SaleLine
from tests.billing.conftest import STUDIO
from tests.billing.machine import MERCHANTS, PROCESSOR_FEE, Happenings, usd
from tests.billing.months import bill_to
from tests.billing.standin import StandIn

_MOST_AT_ONCE = usd(900_000_000_000)


class Settlements(Happenings):
    """Rules of settling; `standin` is set before a run."""

    standin: ClassVar[StandIn]

    @initialize()
    def open_the_store(self) -> None:
        super().open_the_store()
        self.withdrawn: dict[str, int] = {}
        self.won: set[str] = set()
        self.invoice_fees = 0
        for merchant in MERCHANTS:
            bill_to(merchant)
        payout_accounts.choose_country(owner_ref=STUDIO, country="US")
        link = payout_accounts.start_onboarding(
            owner_ref=STUDIO,
            email="alice@example.com",
            return_url="https://x.test/",
            refresh_url="https://x.test/",
        )
        self.standin.open(link)
        self.names_another_bank()
        funds = payments.create_payment(reference=f"funds:{id(self)}:{self.clock}", amount=_MOST_AT_ONCE)
        payments.confirm_payment(payment_id=funds.id, payment_method="pm_card_bypassPending")
        for merchant in MERCHANTS:
            self.sell(merchant=merchant, amount=400_000_000, by_agent=True)
            for _ in range(3):
                self.converse(merchant=merchant, category="electronics", buyer="", days_late=0, reported=())

    def can_be_refunded(self) -> list[str]:
        """A line that its bank took back is not refunded too."""
        return [line for line in super().can_be_refunded() if line not in self.withdrawn]

    @precondition(lambda self: self.can_be_refunded())
    @rule(data=st.data())
    def a_bank_takes_back(self, data: st.DataObject) -> None:
        line = data.draw(st.sampled_from(sorted(self.can_be_refunded())))
        left = self.sold[line][1] - self.refunded.get(line, 0)
        if not left:
            return
        self.withdrawn[line] = left
        occurred_at = self.clock
        self.happen(
            lambda: chargebacks.post_withdrawal(
                dispute_ref=line, amount=usd(left), fee=usd(PROCESSOR_FEE), occurred_at=occurred_at
            )
        )

    @precondition(lambda self: self.undecided())
    @rule(data=st.data(), won=st.booleans())
    def a_bank_decides(self, data: st.DataObject, won: bool) -> None:
        line = data.draw(st.sampled_from(self.undecided()))
        merchant, amount = self.sold[line][0], usd(self.withdrawn[line])
        if won:
            self.won.add(line)
            self.happen(lambda: chargebacks.post_won(dispute_ref=line, amount=amount))
            return

        def lose() -> None:
            chargebacks.post_lost(dispute_ref=line, lines=[SaleLine(line, merchant, amount)])
            metering.reverse_agent_tax(line_ref=line, refunded=amount, refund_ref=f"dispute:{line}")

        self.lost[line] = amount.micros
        self.happen(lose)

    def undecided(self) -> list[str]:
        """Lines whose bank has not said who is right."""
        return sorted(set(self.withdrawn) - set(self.lost) - self.won)

    @rule(data=st.data(), uphold=st.booleans())
    def a_charge_is_disputed(self, data: st.DataObject, uphold: bool) -> None:
        events = UsageEvent.objects.filter(kind="ppcv").exclude(status__in=["rejected", "reversed"])
        ids = list(events.order_by("idempotency_key").values_list("pk", "merchant_ref"))
        if not ids:
            return
        event_id, merchant = ids[data.draw(st.integers(0, len(ids) - 1))]
        dispute = disputes.open_dispute(event_id=event_id, owner_ref=merchant, reason="wrong", by="test")
        if dispute.status == ChargeDispute.Status.OPEN:
            with contextlib.suppress(disputes.WrittenOff):
                disputes.decide_dispute(dispute_id=dispute.pk, uphold=uphold, by="test", note="looked")

    def invoices_go_out(self) -> None:
        invoices.issue_prepared()
        disputes.issue_credit_notes()

    def may_be_paid(self) -> QuerySet[Invoice]:
        """Invoices that were sent and not paid."""
        return Invoice.objects.exclude(status__in=["prepared", "paid"])

    @rule(data=st.data(), pays=st.booleans())
    def an_invoice_ends(self, data: st.DataObject, pays: bool) -> None:
        """Paid, also after it was given up, or given up."""
        found = list((self.may_be_paid() if pays else Settlements.may_be_paid(self)).order_by("pk"))
        if not found:
            return
        invoice = found[data.draw(st.integers(0, len(found) - 1))]
        if not pays:
            with contextlib.suppress(Conflict):
                dunning.write_off(invoice=invoice, by="test", reason="bankrupt")
            return
        self.pay(invoice)

    def pay(self, invoice: Invoice) -> None:
        self.standin.get(f"/invoices/{invoice.processor_ref}/pay")
        told = invoicing.retrieve_invoice(invoice_id=invoice.processor_ref)
        if told.status == "paid":
            fee = invoicing.fee_of_invoice(invoice_id=invoice.processor_ref)
            self.invoice_fees += fee[1].micros if fee else 0
            self.happen(lambda: invoices.settle_invoice(at_processor=told, fee=fee))

    @rule(what=st.sampled_from(["invoices", "releases", "prepare", "send", "month"]))
    def the_beat(self, what: str) -> None:
        """One task, or all that it does in a month: by chance alone few histories come to a payout."""
        if what == "month":
            self.time_passes(minutes=60 * 24 * 31)
            posting.post_due_events()
            self.close_months()
        if what in ("invoices", "month"):
            self.invoices_go_out()
        if what in ("releases", "month"):
            earnings.release_due()
        if what in ("prepare", "month"):
            payouts.prepare_due()
        if what in ("send", "month"):
            payouts.send_prepared()

    @rule(what=st.sampled_from(["hold", "lift", "bank"]))
    def payouts_are_held_or_may_go_on(self, what: str) -> None:
        if what == "hold":
            payouts.place_hold(owner_ref=STUDIO, reason="looking", by="test")
        elif what == "lift":
            payouts.lift_hold(owner_ref=STUDIO, by="test")
        else:
            self.names_another_bank()

    @precondition(lambda self: Payout.objects.filter(status="prepared").exists())
    @rule()
    def a_payout_is_cancelled(self) -> None:
        for payout in Payout.objects.filter(status="prepared"):
            payouts.cancel_payout(payout_id=payout.pk, by="test", reason="looking")

    @precondition(lambda self: Payout.objects.filter(status="sent").exists())
    @rule(arrives=st.booleans())
    def the_developers_bank_answers(self, arrives: bool) -> None:
        account = PayoutAccount.objects.get(owner_ref=STUDIO).processor_ref
        self.standin.post(f"/accounts/{account}/bank", **({} if arrives else {"outcome": "fails"}))
        self.standin.post("/clock", advance=3 * 86_400)
        for payout in Payout.objects.filter(status="sent"):
            told = transfers.retrieve_payout(payout_id=payout.processor_ref, account_id=account)
            self.happen(functools.partial(payouts.settle_payout, payout_id=payout.pk, told=told))
        payouts.send_prepared()

    def names_another_bank(self) -> None:
        account = PayoutAccount.objects.get(owner_ref=STUDIO).processor_ref
        self.standin.post(f"/accounts/{account}/bank")
        payout_accounts.refresh_account(owner_ref=STUDIO)


def credited(merchant: str) -> int:
    """What crediting in whole cents left of the charges that it took back, in micro-units."""
    journals = Journal.objects.filter(kind="credit_note").values("reverses")
    events = UsageEvent.objects.filter(merchant_ref=merchant, journal__in=journals)
    notes = CreditNote.objects.filter(invoice__owner_ref=merchant)
    net = notes.aggregate(minor=Sum("net_minor"))["minor"] or 0
    exact = events.aggregate(micros=Sum("amount_micros"))["micros"] or 0
    return int(exact - Money.from_minor(net, "USD").micros)


def written_off_shares() -> int:
    """The developer's shares of charges whose invoice was given up, in micro-units."""
    shares = dict.fromkeys(Invoice.objects.filter(status="uncollectible").prefetch_related("credit_notes"), 0)
    by_id = {it.pk: it for it in shares}
    for event in UsageEvent.objects.filter(kind="ppcv", status="posted") if shares else ():
        invoice = by_id.get(disputes.invoice_of(event))  # type: ignore[arg-type]  # None is no key
        if invoice is not None:
            shares[invoice] += event.developer_share_micros
    return sum(
        half_even(micros * min(it.written_off_minor, _charged(it)), _charged(it))
        for it, micros in shares.items()
        if micros
    )


def _charged(invoice: Invoice) -> int:
    """What its charges and its tax come to, less what is credited: the part that was given up is a part of this."""
    notes = list(invoice.credit_notes.all())
    tax = invoice.tax_minor - sum(note.tax_minor for note in notes if note.issued_at)
    return invoice.net_minor + tax - sum(note.net_minor for note in notes)


def owed_by_invoices(merchant: str) -> int:
    """What invoices, their taxes, their credit notes and payments did to what a merchant owes, in micro-units."""
    moved = 0
    for invoice in Invoice.objects.filter(owner_ref=merchant).prefetch_related("credit_notes"):
        notes = list(invoice.credit_notes.all())
        tax = invoice.tax_minor - sum(note.tax_minor for note in notes if note.issued_at)
        moved += tax - invoice.paid_minor
        if invoice.status == Invoice.Status.UNCOLLECTIBLE:
            moved -= invoice.written_off_minor
    return Money.from_minor(moved, "USD").micros
