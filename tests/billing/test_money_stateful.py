"""Random lives of the store's money: after each step the books balance and no promise is broken."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import time_machine
from django.db import transaction
from django.db.models import Sum
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agentstore.kit.money import Money
from billing import budgets, ledger, metering, posting
from billing.accounts import developer_pending, merchant_receivable, merchant_wallet, processor_clearing
from billing.errors import RefundExceedsSale
from billing.models import Hold, MerchantBudget, PriceVersion, UsageEvent
from billing.pricing import announce_prices, draft_prices
from billing.sales import SaleLine, post_refund, post_sale
from tests.billing.conftest import STUDIO, TERMS, at

MERCHANTS = ["org:m1", "org:m2"]
merchants = st.sampled_from(MERCHANTS)
cents = st.integers(min_value=1, max_value=2_000_000).map(lambda amount: amount * 10_000)


class MoneyMachine(RuleBasedStateMachine):
    """Conversations, orders, refunds, voids, caps, time and replays in any order."""

    prices: PriceVersion

    def __init__(self) -> None:
        super().__init__()
        self.clock: datetime = at(5)
        self.traveller = time_machine.travel(self.clock, tick=False)
        self.coordinates = self.traveller.start()
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.conversations = 0
        self.sold: dict[str, tuple[str, int]] = {}
        self.refunded: dict[str, int] = {}
        version = draft_prices(name="machine", terms=TERMS, by="test")
        self.prices = announce_prices(version_id=version.pk, effective_at=at(1), by="test")

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.transaction.__exit__(None, None, None)
        self.traveller.stop()

    @rule(merchant=merchants, cap=st.integers(0, 3_000_000), at_cap=st.sampled_from(["pause", "organic"]))
    def set_cap(self, merchant: str, cap: int, at_cap: str) -> None:
        budgets.set_budget(merchant_ref=merchant, cap=Money(cap, "USD"), at_cap=at_cap, by="test")

    @rule(merchant=merchants, category=st.sampled_from(["electronics", "toys"]), again=st.booleans())
    def converse(self, merchant: str, category: str, again: bool) -> None:
        if not again:
            self.conversations += 1
        metering.meter_ppcv(
            conversation_ref=f"c{self.conversations}",
            merchant_ref=merchant,
            developer_ref=STUDIO,
            category=category,
            price_version_id=self.prices.pk,
            occurred_at=self.clock,
        )

    @rule(merchant=merchants, amount=cents, by_agent=st.booleans())
    def sell(self, merchant: str, amount: int, by_agent: bool) -> None:
        line = f"line:{len(self.sold)}"
        self.sold[line] = (merchant, amount)
        for _ in range(2):
            post_sale(
                order_ref=line,
                payment_ref=f"pi:{line}",
                lines=[SaleLine(line, merchant, Money(amount, "USD"))],
                fee=Money(300_000, "USD"),
            )
            if by_agent:
                metering.meter_agent_tax(
                    line_ref=line,
                    conversation_ref="c",
                    merchant_ref=merchant,
                    developer_ref=STUDIO,
                    category="grocery",
                    price_version_id=self.prices.pk,
                    amount=Money(amount, "USD"),
                    occurred_at=self.clock,
                )

    @precondition(lambda self: self.sold)
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        line = data.draw(st.sampled_from(sorted(self.sold)))
        merchant, amount = self.sold[line]
        before = self.refunded.get(line, 0)
        part = Money(data.draw(st.integers(1, amount)), "USD")
        ref = f"{line}:{before}"
        if before + part.micros > amount:
            with pytest.raises(RefundExceedsSale), transaction.atomic():
                post_refund(refund_ref=ref, order_ref=line, lines=[SaleLine(line, merchant, part)])
            return
        for _ in range(2):
            post_refund(refund_ref=ref, order_ref=line, lines=[SaleLine(line, merchant, part)])
            metering.reverse_agent_tax(line_ref=line, refunded=part, refund_ref=ref)
        self.refunded[line] = before + part.micros

    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        ids = list(UsageEvent.objects.filter(kind="ppcv").order_by("pk").values_list("pk", flat=True))
        if ids:
            metering.void_ppcv(event_id=data.draw(st.sampled_from(ids)), reason="fraud", by="test")

    @rule(minutes=st.sampled_from([1, 9, 60 * 24 * 20]))
    def time_passes(self, minutes: int) -> None:
        self.clock += timedelta(minutes=minutes)
        self.coordinates.move_to(self.clock)

    @rule()
    def post(self) -> None:
        posting.post_due_events(limit=3)
        ledger.roll_up()

    @invariant()
    def the_books_balance(self) -> None:
        assert sum(line.balance.micros for line in ledger.trial_balance()) == 0

    @invariant()
    def caps_are_the_sum_of_their_holds_and_ppcv_never_passes_them(self) -> None:
        for budget in MerchantBudget.objects.all():
            holds = Hold.objects.filter(budget=budget, released_at=None).aggregate(total=Sum("amount_micros"))
            assert budget.spent_micros == (holds["total"] or 0)
            highest = (
                max(change.cap_micros for change in budget.changes.all()) if budget.changes.exists() else None
            )
            assert budget.spent_micros <= (budget.cap_micros if highest is None else highest)

    @invariant()
    def the_ledger_is_the_sum_of_the_events(self) -> None:
        posted = UsageEvent.objects.filter(status__in=["posted", "reversed"])
        tax = posted.filter(kind__in=["agent_tax", "tax_reversal"])
        ppcv = posted.filter(kind="ppcv", status="posted")
        share = sum(events.aggregate(x=Sum("developer_share_micros"))["x"] or 0 for events in (tax, ppcv))
        assert ledger.balance(developer_pending(STUDIO, "USD")).micros == -share
        for merchant in MERCHANTS:
            fees = ppcv.filter(merchant_ref=merchant).aggregate(x=Sum("amount_micros"))["x"] or 0
            assert ledger.balance(merchant_receivable(merchant, "USD")).micros == fees
            taxes = tax.filter(merchant_ref=merchant).aggregate(x=Sum("amount_micros"))["x"] or 0
            sales = sum(
                amount - self.refunded.get(line, 0)
                for line, (who, amount) in self.sold.items()
                if who == merchant
            )
            assert ledger.balance(merchant_wallet(merchant, "USD")).micros == taxes - sales

    @invariant()
    def the_processor_holds_what_was_paid_less_its_fees(self) -> None:
        paid = sum(amount for _, amount in self.sold.values()) - sum(self.refunded.values())
        expected = paid - 300_000 * len(self.sold)
        assert ledger.balance(processor_clearing("USD")).micros == expected

    @invariant()
    def a_line_refunded_in_full_costs_no_tax(self) -> None:
        for line, refunded in self.refunded.items():
            if refunded == self.sold[line][1]:
                left = UsageEvent.objects.filter(line_ref=line).aggregate(
                    fee=Sum("amount_micros"), share=Sum("developer_share_micros")
                )
                assert not left["fee"]
                assert not left["share"]


@pytest.mark.django_db
def test_money_is_conserved_whatever_happens():
    run_state_machine_as_test(
        MoneyMachine,
        settings=settings(
            max_examples=15,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
