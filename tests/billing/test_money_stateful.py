"""Random lives of the store's money: after each step the books balance and no promise is broken."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import QuerySet, Sum
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from agentstore.kit.money import Money
from billing import chargebacks, ledger
from billing.accounts import (
    developer_pending,
    merchant_prepaid,
    merchant_receivable,
    merchant_wallet,
    operator_bank,
    processor_clearing,
)
from billing.earnings import developer_available, developer_reserve
from billing.models import (
    Entry,
    Hold,
    Invoice,
    Journal,
    MerchantBudget,
    Payout,
    Statement,
    StatementLine,
    StatementPeriod,
    UsageEvent,
)
from billing.statement_rules import sign_of
from tests.billing.conftest import STUDIO
from tests.billing.machine import MERCHANTS, PROCESSOR_FEE
from tests.billing.machine_banks import Banks
from tests.billing.machine_settling import Settlements, credited, owed_by_invoices, written_off_shares
from tests.billing.standin import StandIn

OPEN = ["quarantined", "review", "rated"]
EARNED = ["ppcv", "ppcv_reversal", "agent_tax", "tax_reversal"]


def total(rows: QuerySet[Any], field: str = "amount_micros") -> int:
    return rows.aggregate(total=Sum(field))["total"] or 0


def rounded(merchant: str) -> int:
    """What rounding to whole cents added to what a merchant owes."""
    return total(Statement.objects.filter(owner_ref=merchant), "rounding_micros") + credited(merchant)


class MoneyMachine(Banks):
    """The promises."""

    @invariant()
    def the_books_balance(self) -> None:
        assert sum(line.balance.micros for line in ledger.trial_balance()) == 0

    @invariant()
    def caps_are_the_sum_of_their_holds_and_ppcv_never_passes_them(self) -> None:
        for budget in MerchantBudget.objects.prefetch_related("changes", "days"):
            days = list(budget.days.all())
            held = total(Hold.objects.filter(budget=budget, released_at=None))
            assert budget.spent_micros == held == sum(day.spent_micros for day in days)
            assert budget.spent_micros <= max(change.cap_micros for change in budget.changes.all())
            caps = [change.day_cap_micros for change in budget.changes.all()]
            highest = max((cap for cap in caps if cap is not None), default=0)
            assert None in caps or all(day.spent_micros <= highest for day in days)

    @invariant()
    def nobody_spends_what_was_not_paid_in(self) -> None:
        for merchant in MERCHANTS:
            balance = -ledger.balance(merchant_prepaid(merchant, "USD")).micros
            prepaid = UsageEvent.objects.filter(merchant_ref=merchant, kind="ppcv", funding="prepaid")
            assert balance - total(prepaid.filter(status__in=OPEN)) >= 0
            assert balance == self.paid_in[merchant] - total(prepaid.filter(status="posted"))

    @invariant()
    def nobody_owes_more_than_it_ever_was_allowed(self) -> None:
        for merchant in MERCHANTS:
            owed = ledger.balance(merchant_receivable(merchant, "USD")).micros - rounded(merchant)
            taxed = Money.from_minor(total(Invoice.objects.filter(owner_ref=merchant), "tax_minor"), "USD")
            held = UsageEvent.objects.filter(
                merchant_ref=merchant, kind="ppcv", funding="postpaid", status__in=OPEN
            )
            allowed = self.most_allowed[merchant] + taxed.micros + self.kept_back[merchant]
            assert owed + total(held) <= allowed

    @invariant()
    def the_ledger_is_the_sum_of_the_events(self) -> None:
        posted = UsageEvent.objects.filter(status__in=["posted", "reversed"])
        tax = posted.filter(kind__in=["agent_tax", "tax_reversal"])
        ppcv = posted.filter(kind="ppcv", status="posted")
        share = total(tax, "developer_share_micros") + total(ppcv, "developer_share_micros")
        paid_out = Money.from_minor(total(Payout.objects.exclude(status="returned"), "amount_minor"), "USD")
        assert developers_own() == share - written_off_shares() - paid_out.micros
        for merchant in MERCHANTS:
            owed = total(ppcv.filter(merchant_ref=merchant, funding="postpaid")) + rounded(merchant)
            owed += owed_by_invoices(merchant)
            assert ledger.balance(merchant_receivable(merchant, "USD")).micros == owed
            taxes = total(tax.filter(merchant_ref=merchant))
            assert ledger.balance(merchant_wallet(merchant, "USD")).micros == taxes - self.earned(merchant)

    @invariant()
    def statements_are_the_sum_of_the_events_that_are_on_one(self) -> None:
        """By the events' own amounts, each in one closed month: late ones, reversals and refunds included."""
        last = StatementPeriod.objects.last()
        if last is None:
            return
        lines = StatementLine.objects.filter(statement__owner_ref__in=[*MERCHANTS, STUDIO])
        fees = lines.filter(kind__in=["ppcv", "ppcv_reversal"])
        owed = total(fees.filter(account_kind="merchant_receivable"), "exact_micros")
        taken = total(fees.filter(account_kind="merchant_prepaid"), "exact_micros")
        shares = lines.filter(account_kind="developer_pending", kind__in=EARNED)
        on_one = {"journal__xid__lt": last.mark, "journal__occurred_at__lt": last.ends_at}
        events = UsageEvent.objects.filter(**on_one)
        taken_back = Journal.objects.filter(
            kind="ppcv_reversal", xid__lt=last.mark, occurred_at__lt=last.ends_at
        ).values("reverses")
        back = UsageEvent.objects.filter(journal__in=taken_back)
        ppcv = events.filter(kind="ppcv")
        assert owed - taken == total(ppcv) - total(back)
        assert total(shares, "exact_micros") == total(events, "developer_share_micros") - total(
            back, "developer_share_micros"
        )
        covered = Entry.objects.filter(
            xid__lt=last.mark,
            journal__occurred_at__lt=last.ends_at,
            account__owner_ref__in=[*MERCHANTS, STUDIO],
        ).exclude(journal__kind="statement_rounding")
        for kind in covered.values_list("account__kind", flat=True).distinct():
            moved = total(covered.filter(account__kind=kind), "amount")
            assert total(lines.filter(account_kind=kind), "exact_micros") == sign_of(kind) * moved

    @invariant()
    def a_conversation_is_billed_by_the_prices_that_it_was_opened_with(self) -> None:
        for event in UsageEvent.objects.filter(kind="ppcv").select_related("price_version"):
            assert event.price_version_id == self.conversations[event.conversation_ref]
            assert event.amount_micros == event.price_version.ppcv(event.category).micros

    @invariant()
    def a_flagged_fee_is_not_posted_before_somebody_looked(self) -> None:
        for event in UsageEvent.objects.filter(kind="ppcv", status="posted", flags__isnull=False).distinct():
            by = set(event.changes.filter(status="rated").values_list("by", flat=True))
            assert by == {"test"}

    @invariant()
    def the_processor_holds_what_was_paid_less_its_fees(self) -> None:
        paid = sum(amount for _, amount in self.sold.values()) - sum(self.refunded.values())
        paid += sum(self.paid_in.values()) - sum(self.withdrawn.values())
        paid += sum(self.withdrawn[line] for line in self.won) - self.invoice_fees
        minor = total(Invoice.objects.all(), "paid_minor")
        minor -= total(Payout.objects.exclude(status="returned"), "amount_minor")
        fees = PROCESSOR_FEE * (len(self.sold) + self.top_ups + len(self.withdrawn))
        expected = paid - fees + Money.from_minor(minor, "USD").micros - self.at_own_bank
        assert ledger.balance(operator_bank("USD")).micros == self.at_own_bank
        assert ledger.balance(processor_clearing("USD")).micros == expected

    @invariant()
    def what_banks_took_and_did_not_decide_is_nobodys_yet(self) -> None:
        undecided = sum(self.withdrawn[line] for line in self.undecided())
        assert ledger.balance(chargebacks.dispute_loss("USD")).micros == undecided

    @invariant()
    def nobody_is_paid_what_he_has_not(self) -> None:
        for key in (developer_available(STUDIO, "USD"), developer_reserve(STUDIO, "USD")):
            assert -ledger.balance(key).micros >= 0
        for month in Payout.objects.exclude(status="returned").values_list("month", flat=True):
            assert Payout.objects.exclude(status="returned").filter(month=month).count() == 1

    @invariant()
    def a_line_that_is_wholly_given_back_costs_no_tax(self) -> None:
        for line, (_, amount) in self.sold.items():
            if self.refunded.get(line, 0) + self.lost.get(line, 0) == amount:
                left = UsageEvent.objects.filter(line_ref=line).aggregate(
                    fee=Sum("amount_micros"), share=Sum("developer_share_micros")
                )
                assert not left["fee"]
                assert not left["share"]


def developers_own() -> int:
    """Pending, available and in reserve, in micro-units."""
    keys = (developer_pending, developer_available, developer_reserve)
    return -sum(ledger.balance(key(STUDIO, "USD")).micros for key in keys)


def live(standin: StandIn, *, examples: int, steps: int, always_the_same: bool = False) -> None:
    Settlements.standin = standin
    run_state_machine_as_test(
        MoneyMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=always_the_same,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.django_db(transaction=True)
def test_money_is_conserved_whatever_happens(blank_standin):
    # The long run is for new histories: a failure here is a change's, not chance.
    live(blank_standin, examples=6, steps=20, always_the_same=True)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.django_db(transaction=True)
def test_money_is_conserved_for_a_long_time(blank_standin):
    live(blank_standin, examples=300, steps=60)
