"""A store's money with everything that can happen to it, in any order; each step leaves the books whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import time_machine
from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.models import Sum
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from agentstore.kit.money import Money
from billing import budgets, closing, funding, ledger, metering, posting, statements, verification
from billing.disputes import invoice_of
from billing.errors import NoticeTooShort, RefundExceedsSale
from billing.fraud import Rule, note_end_of_conversation
from billing.models import DailyClose, Entry, Invoice, Journal, Payout, TopUp, UsageEvent
from billing.pricing import Terms, announce_prices, current_price_version, draft_prices
from billing.processor.payments import Payment
from billing.review import AlreadyInvoiced, reject_event, release_event
from billing.sales import SaleLine, post_refund, post_sale
from billing.topups import settle_top_up, start_top_up
from tests.billing.conftest import STUDIO, TERMS, at
from tests.billing.seen import until_all_is_seen

MERCHANTS = ["org:m1", "org:m2"]
PROCESSOR_FEE = 300_000

merchants = st.sampled_from(MERCHANTS)
cents = st.integers(min_value=1, max_value=2_000_000).map(lambda amount: amount * 10_000)
micros = st.integers(min_value=0, max_value=3_000_000)


def usd(amount: int) -> Money:
    return Money(amount, "USD")


def empty_the_books() -> None:
    """As after a test with transactions: each example commits, since only what is committed can be closed."""
    from django.apps import apps

    tables = [model._meta.db_table for model in apps.get_app_config("billing").get_models()]
    connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), tables))


class Happenings(RuleBasedStateMachine):
    """The rules. What they do to the books is checked by the invariants in test_money_stateful."""

    @initialize()
    def open_the_store(self) -> None:
        self.clock: datetime = at(5)
        self.traveller = time_machine.travel(self.clock, tick=False)
        self.coordinates = self.traveller.start()
        # Whatever came from outside once may come again: by webhook, by a retry, by a restored queue.
        self.replays: list[Callable[[], object]] = []
        self.conversations: dict[str, object] = {}
        self.sold: dict[str, tuple[str, int]] = {}
        self.refunded: dict[str, int] = {}
        self.lost: dict[str, int] = {}
        self.paid_in: dict[str, int] = dict.fromkeys(MERCHANTS, 0)
        self.top_ups = 0
        self.most_allowed: dict[str, int] = dict.fromkeys(MERCHANTS, 0)
        version = draft_prices(name="prices 0", terms=TERMS, by="test")
        announce_prices(version_id=version.pk, effective_at=at(1), by="test")
        self.versions = 1
        for merchant in MERCHANTS:
            self.set_caps(merchant, 2_000_000, None, "organic")
            self.set_funding(merchant, "postpaid", 1_000_000)

    def teardown(self) -> None:
        if hasattr(self, "traveller"):
            self.traveller.stop()
            try:
                assert_whole()
            finally:
                empty_the_books()

    def happen(self, what: Callable[[], object]) -> None:
        """Do what came from outside, and keep it to be replayed."""
        what()
        self.replays.append(what)

    @rule(
        merchant=merchants, cap=micros, day=st.none() | micros, at_cap=st.sampled_from(["pause", "organic"])
    )
    def set_caps(self, merchant: str, cap: int, day: int | None, at_cap: str) -> None:
        budgets.set_budget(
            merchant_ref=merchant,
            cap=usd(cap),
            day_cap=None if day is None else usd(day),
            at_cap=at_cap,
            by="test",
        )

    @rule(merchant=merchants, mode=st.sampled_from(["prepaid", "postpaid"]), limit=micros)
    def set_funding(self, merchant: str, mode: str, limit: int) -> None:
        funding.set_funding(
            merchant_ref=merchant, currency="USD", mode=mode, credit_limit=usd(limit), by="test"
        )
        self.most_allowed[merchant] = max(self.most_allowed[merchant], limit)

    @rule(merchant=merchants, amount=st.integers(50, 500).map(lambda amount: amount * 10_000))
    def pay_in(self, merchant: str, amount: int) -> None:
        top_up = start_top_up(merchant_ref=merchant, amount=usd(amount), by="test")
        payment = Payment(
            id=f"pi_{top_up.pk}", status="succeeded", amount=usd(amount), received=usd(amount),
            reference=f"topup:{top_up.pk}", client_secret="", charge_id="", fee=usd(PROCESSOR_FEE),
        )  # fmt: skip
        self.happen(lambda: settle_top_up(top_up_id=top_up.pk, payment=payment))
        self.paid_in[merchant] += amount
        self.top_ups += 1

    @rule(
        merchant=merchants,
        category=st.sampled_from(["electronics", "toys"]),
        buyer=st.sampled_from(["", "shopper:1"]),
        days_late=st.sampled_from([0, 0, 0, 1, 30]),
        reported=st.sampled_from([(), (), (Rule.OWN_ORGANIZATION,)]),
    )
    def converse(
        self, merchant: str, category: str, buyer: str, days_late: int, reported: tuple[Rule, ...]
    ) -> None:
        conversation = f"c{len(self.conversations)}"
        prices = current_price_version()
        self.conversations[conversation] = prices.pk
        occurred_at = self.clock - timedelta(days=days_late)
        self.happen(
            lambda: metering.meter_ppcv(
                conversation_ref=conversation, merchant_ref=merchant, developer_ref=STUDIO, category=category,
                price_version_id=prices.pk, occurred_at=occurred_at, buyer_ref=buyer, reported=reported,
            )
        )  # fmt: skip

    @precondition(lambda self: self.conversations)
    @rule(data=st.data(), words=st.integers(0, 1))
    def end_a_conversation(self, data: st.DataObject, words: int) -> None:
        conversation = data.draw(st.sampled_from(sorted(self.conversations)))
        note_end_of_conversation(conversation_ref=conversation, ended_at=self.clock, real_messages=words)

    @rule(merchant=merchants, amount=cents, by_agent=st.booleans())
    def sell(self, merchant: str, amount: int, by_agent: bool) -> None:
        line = f"line:{len(self.sold)}"
        self.sold[line] = (merchant, amount)
        prices = current_price_version()
        occurred_at = self.clock

        def paid() -> None:
            post_sale(
                order_ref=line, payment_ref=f"pi:{line}", lines=[SaleLine(line, merchant, usd(amount))],
                fee=usd(PROCESSOR_FEE), occurred_at=occurred_at,
            )  # fmt: skip
            if by_agent:
                metering.meter_agent_tax(
                    line_ref=line, conversation_ref="c", merchant_ref=merchant, developer_ref=STUDIO,
                    category="grocery", price_version_id=prices.pk, amount=usd(amount), occurred_at=occurred_at,
                )  # fmt: skip

        self.happen(paid)

    def can_be_refunded(self) -> list[str]:
        """Lines that a shopper may bring back."""
        return sorted(self.sold)

    @precondition(lambda self: self.can_be_refunded())
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        line = data.draw(st.sampled_from(self.can_be_refunded()))
        merchant, amount = self.sold[line]
        before = self.refunded.get(line, 0)
        part = usd(data.draw(st.integers(1, amount)))
        ref = f"{line}:{before}"

        def refunded() -> None:
            post_refund(refund_ref=ref, order_ref=line, lines=[SaleLine(line, merchant, part)])
            metering.reverse_agent_tax(line_ref=line, refunded=part, refund_ref=ref)

        if before + part.micros > amount:
            with pytest.raises(RefundExceedsSale), transaction.atomic():
                refunded()
            return
        self.happen(refunded)
        self.refunded[line] = before + part.micros

    @rule(data=st.data(), decision=st.sampled_from(["release", "reject"]))
    def decide(self, data: st.DataObject, decision: str) -> None:
        events = UsageEvent.objects.filter(kind="ppcv").exclude(status__in=["rejected", "reversed"])
        ids = list(events.order_by("idempotency_key").values_list("pk", flat=True))
        if not ids:
            return
        event_id = data.draw(st.sampled_from(range(len(ids))).map(ids.__getitem__))
        event = UsageEvent.objects.select_related("journal").get(pk=event_id)
        if decision == "release":
            release_event(event_id=event_id, reason="fine", by="test")
        elif event.status == "posted" and invoice_of(event) is not None:
            with pytest.raises(AlreadyInvoiced):
                reject_event(event_id=event_id, reason="fraud", by="test")
        else:
            self.happen(lambda: reject_event(event_id=event_id, reason="fraud", by="test"))

    @rule(
        ppcv=st.integers(0, 400_000),
        share=st.sampled_from([650_000, 700_000, 750_000]),
        notice=st.sampled_from([0, 15]),
    )
    def change_prices(self, ppcv: int, share: int, notice: int) -> None:
        terms = [Terms("ppcv", ppcv), Terms("agent_tax", 150_000), Terms("developer_share", share)]
        draft = draft_prices(name=f"prices {self.versions}", terms=terms, by="test")
        self.versions += 1
        # A microsecond for each version: no two begin at the same instant.
        day = self.clock + timedelta(days=notice, microseconds=self.versions)
        try:
            with transaction.atomic():
                announce_prices(version_id=draft.pk, effective_at=day, by="test")
        except NoticeTooShort:
            assert notice == 0

    @rule(minutes=st.sampled_from([1, 9, 60 * 24, 60 * 24 * 20]))
    def time_passes(self, minutes: int) -> None:
        self.clock += timedelta(minutes=minutes)
        self.coordinates.move_to(self.clock)

    @rule()
    def post(self) -> None:
        posting.post_due_events(limit=3)
        ledger.roll_up()

    @rule()
    def close_days(self) -> None:
        until_all_is_seen()
        closing.close_due_days()
        assert_whole()

    @rule()
    def close_months(self) -> None:
        until_all_is_seen()
        statements.close_due_months()

    @precondition(lambda self: self.replays)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """What came before comes again: nothing changes."""
        before = state_of_the_books()
        data.draw(st.sampled_from(range(len(self.replays))).map(self.replays.__getitem__))()
        assert state_of_the_books() == before

    def earned(self, merchant: str) -> int:
        """What a merchant's sales brought, less refunds and what banks gave back to shoppers."""
        return sum(
            amount - self.refunded.get(line, 0) - self.lost.get(line, 0)
            for line, (who, amount) in self.sold.items()
            if who == merchant
        )


def assert_whole() -> None:
    """The books, the roll-up and the chain of closes are what they were, and what they say of themselves."""
    noted = DailyClose.objects.order_by("day").last()
    assert verification.verify_books(head=noted.hex if noted else "") == []


def state_of_the_books() -> tuple[object, ...]:
    """What a replay must leave as it is: journals, entries, events, top-ups, invoices and payouts by status."""
    return (
        Journal.objects.count(),
        Entry.objects.aggregate(Sum("amount"), Sum("leg")),
        sorted(UsageEvent.objects.values_list("idempotency_key", "status", "amount_micros")),
        sorted(TopUp.objects.values_list("pk", "status")),
        sorted(Invoice.objects.values_list("pk", "status", "paid_minor")),
        sorted(Payout.objects.values_list("pk", "status")),
        [(line.kind, line.debit, line.credit) for line in ledger.trial_balance()],
    )
