"""Developers' shares: pending, available, in reserve, taken back in order, carried forward."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from billing import earnings, ledger, metering
from billing.accounts import developer_pending
from billing.models import EarningRelease, Journal, UsageEvent
from tests.billing.conftest import MERCHANT, usd
from tests.billing.killing import killed_at_random
from tests.billing.months import bill_to, close, conversations, day, issued, paid

NOVEMBER = day(11, 1)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(settings):
    settings.PPCV_QUARANTINE_SECONDS = 0


@pytest.fixture
def studio_ref() -> str:
    return f"org:{uuid.uuid4()}"


@pytest.fixture
def sell(prices, studio_ref):
    """Tax a sale: at 15 %, 70 % of it the studio's: 10.5 % of the price."""

    def tax(line: str, price: str, at: datetime = NOVEMBER) -> None:
        metering.meter_agent_tax(
            line_ref=line, conversation_ref=f"c-{line}", merchant_ref=MERCHANT, developer_ref=studio_ref,
            category="electronics", price_version_id=prices.pk, amount=usd(price), occurred_at=at,
        )  # fmt: skip

    return tax


def settle(studio_ref: str, at) -> None:
    with time_machine.travel(at, tick=False):
        earnings.settle_earnings(owner_ref=studio_ref, currency="USD")


def standing(studio_ref: str) -> tuple[str, str, str]:
    """Pending, reserve, available."""
    keys = (earnings.developer_reserve(studio_ref, "USD"), earnings.developer_available(studio_ref, "USD"))
    amounts = [-ledger.balance(key) for key in (developer_pending(studio_ref, "USD"), *keys)]
    return str(amounts[0]), str(amounts[1]), str(amounts[2])


def test_a_sales_share_is_available_after_the_return_window_less_a_tenth(sell, studio_ref):
    sell("l1", "100", day(11, 1))
    settle(studio_ref, day(11, 1) + timedelta(days=29))
    assert standing(studio_ref) == ("$10.50", "$0.00", "$0.00")
    settle(studio_ref, day(11, 1) + timedelta(days=31))
    assert standing(studio_ref) == ("$0.00", "$1.05", "$9.45")
    settle(studio_ref, day(11, 1) + timedelta(days=31))
    assert EarningRelease.objects.count() == 1


def test_the_reserve_is_free_after_90_days(sell, studio_ref):
    sell("l1", "100")
    settle(studio_ref, day(12, 5))
    settle(studio_ref, day(12, 5) + timedelta(days=89))
    assert standing(studio_ref)[1] == "$1.05"
    settle(studio_ref, day(12, 5) + timedelta(days=91))
    assert standing(studio_ref) == ("$0.00", "$0.00", "$10.50")
    release = EarningRelease.objects.get()
    assert release.reserve_released_micros == release.reserve_micros
    settle(studio_ref, day(12, 5) + timedelta(days=92))
    assert Journal.objects.filter(kind="reserve_release").count() == 1


def test_what_was_refunded_in_time_is_never_released(sell, studio_ref):
    sell("l1", "100")
    metering.reverse_agent_tax(line_ref="l1", refunded=usd("40"), refund_ref="r1")
    settle(studio_ref, day(12, 5))
    assert standing(studio_ref) == ("$0.00", "$0.63", "$5.67")


def test_a_late_refund_is_taken_from_pending_then_reserve_then_available_then_carried(sell, studio_ref):
    sell("old", "100", day(11, 1))
    settle(studio_ref, day(12, 5))
    sell("new", "10", day(12, 4))
    assert standing(studio_ref) == ("$1.05", "$1.05", "$9.45")

    def refund(amount: str) -> tuple[str, str, str]:
        metering.reverse_agent_tax(line_ref="old", refunded=usd(amount), refund_ref=str(uuid.uuid4()))
        settle(studio_ref, day(12, 6))
        return standing(studio_ref)

    assert refund("5") == ("$0.525", "$1.05", "$9.45"), "pending first"
    assert refund("10") == ("$0.00", "$0.525", "$9.45"), "then the reserve"
    assert refund("10") == ("$0.00", "$0.00", "$8.925"), "then what is available"
    with time_machine.travel(day(12, 6), tick=False):
        pay_out_all(studio_ref)
    assert refund("10") == ("−$1.05", "$0.00", "$0.00"), "then it is carried forward"
    sell("next", "20", day(12, 7))
    assert standing(studio_ref)[0] == "$1.05", "and the next share fills it"


def pay_out_all(studio_ref: str) -> None:
    from billing.accounts import processor_clearing

    available = earnings.developer_available(studio_ref, "USD")
    micros = -ledger.balance(available).micros
    ledger.post(
        kind="payout", idempotency_key=f"payout:{studio_ref}", occurred_at=day(12, 6),
        entries=[ledger.debit(available, micros), ledger.credit(processor_clearing("USD"), micros)],
    )  # fmt: skip


def test_what_others_pending_share_covered_is_not_released_later(sell, studio_ref):
    sell("old", "100", day(11, 1))
    settle(studio_ref, day(12, 5))
    sell("new", "100", day(12, 4))
    metering.reverse_agent_tax(line_ref="old", refunded=usd("50"), refund_ref="r")
    settle(studio_ref, day(12, 6))
    assert standing(studio_ref) == ("$5.25", "$1.05", "$9.45")
    settle(studio_ref, day(12, 4) + timedelta(days=31))
    assert standing(studio_ref) == ("$0.00", "$1.575", "$14.175")


def test_a_conversations_share_waits_until_its_invoice_is_paid_and_14_days(standin, prices, studio_ref):
    merchant_ref = f"org:{uuid.uuid4()}"
    bill_to(merchant_ref)
    conversations(
        prices, merchant_ref, at=day(10, 20), categories=["electronics"] * 4, developer_ref=studio_ref
    )
    settle(studio_ref, day(12, 20))
    assert standing(studio_ref) == ("$0.70", "$0.00", "$0.00"), "however long nobody pays"
    close(11)
    invoice = paid(standin, issued(merchant_ref))
    assert invoice.paid_at is not None
    settle(studio_ref, invoice.paid_at + timedelta(days=13))
    assert standing(studio_ref)[0] == "$0.70"
    settle(studio_ref, invoice.paid_at + timedelta(days=15))
    assert standing(studio_ref) == ("$0.00", "$0.07", "$0.63")


def test_each_event_says_how_its_share_stands(standin, prices, sell, studio_ref):
    merchant_ref = f"org:{uuid.uuid4()}"
    bill_to(merchant_ref)
    (event,) = conversations(
        prices, merchant_ref, at=day(10, 20), categories=["electronics"], developer_ref=studio_ref
    )
    sell("l1", "100", day(11, 20))
    taxed = UsageEvent.objects.get(line_ref="l1")
    with time_machine.travel(day(11, 25), tick=False):
        says = earnings.standings([event, taxed])
    assert says[event.pk].why == "Is invoiced when its month closes."
    assert (says[taxed.pk].state, says[taxed.pk].at) == ("pending", day(11, 20) + timedelta(days=30))
    close(11)
    assert earnings.standings([event])[event.pk].why == "On the statement of 2026-10; not invoiced yet."
    with time_machine.travel(day(12, 25), tick=False):
        assert earnings.standings([taxed])[taxed.pk].state == "available"


def test_a_releaser_killed_at_random_releases_once(sell, studio_ref):
    for number in range(30):
        sell(f"l{number}", "100")

    def work() -> None:
        with time_machine.travel(day(12, 5), tick=False):
            earnings.release_due()

    for _ in killed_at_random(work, times=5, within=0.15):
        assert EarningRelease.objects.count() == Journal.objects.filter(kind="earning_release").count() <= 1
    work()
    assert standing(studio_ref) == ("$0.00", "$31.50", "$283.50")


@given(
    kept=st.lists(st.integers(0, 10**9), min_size=1, max_size=6),
    taken=st.integers(0, 6 * 10**9),
)
def test_reserves_are_freed_whole_and_the_oldest_bear_what_was_taken(kept, taken):
    held = max(0, sum(kept) - taken)
    left, freed = held, []
    for number, part in enumerate(kept):
        free = earnings.reserve_to_free(kept=part, held=left, kept_by_later=sum(kept[number + 1 :]))
        assert 0 <= free <= part
        freed.append(free)
        left -= free
    assert sum(freed) == held
    if held == sum(kept):
        assert freed == kept
