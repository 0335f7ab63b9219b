"""What banks do with the store's own money, in any order: they take an invoice's payment back and decide, and take or
refuse what the store pays out to itself.
"""

from __future__ import annotations

from dataclasses import replace

from django.db.models import QuerySet
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from agentstore.kit.money import Money
from billing import bank_payouts, invoice_chargebacks
from billing.models import Invoice
from billing.processor.bank import BankPayout
from billing.processor.disputes import ProcessorDispute
from tests.billing.machine import MERCHANTS, PROCESSOR_FEE, usd
from tests.billing.machine_settling import Settlements


class Banks(Settlements):
    """Rules of banks."""

    @initialize()
    def open_the_store(self) -> None:
        super().open_the_store()
        # An invoice's dispute by its id; of each merchant, what was taken back and not given back, in micro-units.
        self.taken_back: dict[str, ProcessorDispute] = {}
        self.kept_back: dict[str, int] = dict.fromkeys(MERCHANTS, 0)
        self.decided: set[str] = set()
        self.own_payouts: list[BankPayout] = []
        self.at_own_bank = 0

    def may_be_paid(self) -> QuerySet[Invoice]:
        """One whose payment a bank took back is paid on another page, which is not in this story."""
        return super().may_be_paid().exclude(pk__in=[self.of_dispute(ref) for ref in self.taken_back])

    @staticmethod
    def of_dispute(ref: str) -> str:
        return ref.partition(":")[2]

    @rule(data=st.data())
    def a_bank_takes_an_invoices_payment_back(self, data: st.DataObject) -> None:
        """Of one that is paid, or that a month brings: by chance alone few histories come to it."""
        if not self.paid_once().exists():
            self.the_beat(what="month")
            for invoice in self.may_be_paid().order_by("pk"):
                self.pay(invoice)
        found = list(self.paid_once().order_by("pk"))
        if not found:
            return
        invoice = found[data.draw(st.integers(0, len(found) - 1))]
        ref, amount = f"dp:{invoice.pk}", Money.from_minor(invoice.paid_minor, invoice.currency)
        dispute = ProcessorDispute(
            id=ref, status="needs_response", reason="fraudulent", amount=amount, payment_id=f"pi:{ref}",
            withdrawn=amount + usd(PROCESSOR_FEE), fee=usd(PROCESSOR_FEE), answer_by=None,
        )  # fmt: skip
        self.taken_back[ref] = dispute
        self.kept_back[invoice.owner_ref] += amount.micros
        self.invoice_fees += PROCESSOR_FEE
        self.happen(lambda: invoice_chargebacks.book_dispute(invoice_id=invoice.pk, dispute=dispute))

    @precondition(lambda self: set(self.taken_back) - self.decided)
    @rule(data=st.data(), status=st.sampled_from(["won", "lost"]))
    def that_bank_decides(self, data: st.DataObject, status: str) -> None:
        ref = data.draw(st.sampled_from(sorted(set(self.taken_back) - self.decided)))
        self.decided.add(ref)
        invoice = Invoice.objects.get(pk=self.of_dispute(ref))
        dispute = replace(self.taken_back[ref], status=status)
        if status == "won":
            self.kept_back[invoice.owner_ref] -= dispute.amount.micros
        self.happen(lambda: invoice_chargebacks.book_dispute(invoice_id=invoice.pk, dispute=dispute))

    def paid_once(self) -> QuerySet[Invoice]:
        """Paid invoices of which no bank has taken anything back yet."""
        paid = Invoice.objects.filter(paid_minor__gt=0)
        return paid.exclude(pk__in=[self.of_dispute(ref) for ref in self.taken_back])

    @rule(amount=st.integers(1, 500).map(lambda amount: amount * 10_000))
    def the_store_pays_itself(self, amount: int) -> None:
        payout = BankPayout(
            id=f"po:{len(self.own_payouts)}",
            status="pending",
            amount=usd(amount),
            fee=usd(0),
            made_at=self.clock,
        )
        self.own_payouts.append(payout)
        self.at_own_bank += amount
        self.happen(lambda: bank_payouts.book_payout(payout))

    @precondition(lambda self: self.own_payouts)
    @rule(data=st.data(), arrives=st.booleans())
    def its_bank_answers(self, data: st.DataObject, arrives: bool) -> None:
        place = data.draw(st.integers(0, len(self.own_payouts) - 1))
        payout = self.own_payouts[place]
        if payout.status != "pending":
            return
        payout = self.own_payouts[place] = replace(payout, status="paid" if arrives else "failed")
        if not arrives:
            self.at_own_bank -= payout.amount.micros
        self.happen(lambda: bank_payouts.book_payout(payout))
