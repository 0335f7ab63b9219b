"""Caps of the day and the month, prepaid balances and credit limits: none is passed by a micro-unit."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
import time_machine

from agentstore.kit.errors import Invalid
from agentstore.kit.money import Money
from billing import budgets, funding, ledger, posting
from billing.accounts import merchant_prepaid, merchant_receivable, processor_clearing
from billing.models import BudgetDay, Hold, MerchantBudget, Notice, TopUp
from billing.processor.payments import Payment
from billing.topups import settle_top_up, start_top_up
from tests.billing.conftest import MERCHANT, at, converse, take_back, usd
from tests.billing.test_ledger import in_threads


@pytest.fixture(autouse=True)
def _on_the_day():
    with time_machine.travel(at(24)):
        yield


def cap(month: str, day: str | None = None, at_cap: str = "organic") -> MerchantBudget:
    return budgets.set_budget(
        merchant_ref=MERCHANT, cap=usd(month), day_cap=usd(day) if day else None, at_cap=at_cap, by="mia"
    )


def pay(**changes) -> None:
    funding.set_funding(merchant_ref=MERCHANT, currency="USD", by="test", **changes)


def pay_in(amount: str) -> TopUp:
    """As the processor's answer leaves it."""
    top_up = start_top_up(merchant_ref=MERCHANT, amount=usd(amount), by="mia")
    payment = Payment(
        id=f"pi_{top_up.pk}", status="succeeded", amount=usd(amount), received=usd(amount),
        reference=f"topup:{top_up.pk}", client_secret="", charge_id="ch", fee=usd("0.59"),
    )  # fmt: skip
    settle_top_up(top_up_id=top_up.pk, payment=payment)
    return settle_top_up(top_up_id=top_up.pk, payment=payment)


def statuses(prices, times: int, **changes) -> list[str]:
    return [converse(prices, **changes).status for _ in range(times)]


def post_all() -> None:
    with time_machine.travel(at(25)):
        posting.post_due_events()


def left() -> int | None:
    return funding.read_means(funding.funding_of(merchant_ref=MERCHANT, currency="USD")).left_micros


def told() -> list[str]:
    return list(Notice.objects.order_by("id").values_list("subject", flat=True))


def test_a_day_has_a_cap_of_its_own(prices):
    cap("100", "0.50", at_cap="pause")
    assert statuses(prices, 3) == ["held", "held", "paused"]
    assert statuses(prices, 1, occurred_at=at(25)) == ["held"]
    assert MerchantBudget.objects.get().spent_micros == 750_000
    assert sorted(BudgetDay.objects.values_list("spent_micros", flat=True)) == [250_000, 500_000]


def test_a_fee_above_the_whole_cap_of_a_day_is_never_taken(prices):
    cap("100", "0.249999")
    assert statuses(prices, 1) == ["organic"]
    assert MerchantBudget.objects.get().spent_micros == 0


def test_what_is_taken_back_returns_to_its_day(prices):
    cap("100", "0.25")
    outcome = converse(prices)
    take_back(outcome)
    assert statuses(prices, 2) == ["held", "organic"]
    assert budgets.spent_on(MerchantBudget.objects.get(), at(24)) == usd("0.25")


def test_a_late_event_counts_on_the_day_it_happened(prices):
    cap("100", "0.25")
    assert statuses(prices, 1) == ["held"]
    with time_machine.travel(at(26)):
        assert statuses(prices, 1) == ["organic"]


def test_the_caps_are_carried_into_the_next_month(prices):
    cap("100", "0.25")
    with time_machine.travel(at(3, month=12)):
        assert statuses(prices, 2, occurred_at=at(3, month=12)) == ["held", "organic"]


@pytest.mark.django_db(transaction=True)
def test_no_cap_of_a_day_is_passed_under_concurrency(prices):
    cap("100", "2.60")
    flat = [it for of_thread in in_threads(8, lambda number: statuses(prices, 4)) for it in of_thread]
    assert (flat.count("held"), flat.count("organic")) == (10, 22)
    assert BudgetDay.objects.get().spent_micros == MerchantBudget.objects.get().spent_micros == 2_500_000


def test_a_prepaid_fee_is_paid_from_the_balance(prices):
    cap("100", at_cap="pause")
    pay(mode="prepaid")
    assert statuses(prices, 1) == ["paused"], "nothing was paid in"
    pay_in("0.60")
    assert ledger.balance(processor_clearing("USD")) == usd("0.01")
    assert statuses(prices, 3) == ["held", "held", "paused"]
    assert left() == 100_000
    post_all()
    assert left() == 100_000
    assert ledger.balance(merchant_prepaid(MERCHANT, "USD")) == usd("-0.10")
    assert ledger.balance(merchant_receivable(MERCHANT, "USD")) == usd("0")
    pay_in("10")
    assert statuses(prices, 1) == ["held"]


def test_a_credit_limit_holds_what_is_owed_and_held_together(prices):
    cap("100")
    pay(credit_limit=usd("0.75"))
    assert statuses(prices, 2) == ["held", "held"]
    post_all()
    assert statuses(prices, 2) == ["held", "organic"]
    assert left() == 0
    pay(credit_limit=usd("0.50"))
    assert left() == -250_000, "a lower limit takes nothing back"
    assert statuses(prices, 1) == ["organic"]


def test_a_reversed_fee_is_left_again(prices):
    cap("100")
    pay(credit_limit=usd("0.25"))
    outcome = converse(prices)
    post_all()
    assert left() == 0
    take_back(outcome)
    assert left() == 250_000


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", ["prepaid", "postpaid"])
def test_no_balance_or_limit_is_passed_while_fees_are_held_and_posted(prices, settings, mode):
    """Late events of another month have another budget's lock: only the merchant's own row holds them together."""
    settings.PPCV_QUARANTINE_SECONDS = 0
    for month in (10, 11):
        budgets.set_budget(
            merchant_ref=MERCHANT, cap=usd("100"), at_cap="organic", by="x", at=at(1, month=month)
        )
    pay(mode=mode, credit_limit=usd("2.60"))
    pay_in("2.60")

    def work(number: int) -> list[str]:
        if number == 0:
            for _ in range(12):
                posting.post_due_events(limit=2)
                ledger.roll_up()
            return []
        return statuses(prices, 5, occurred_at=at(24, month=10 + number % 2))

    flat = [it for of_thread in in_threads(7, work) for it in of_thread]
    assert (flat.count("held"), flat.count("organic")) == (10, 20)
    posting.post_due_events()
    assert left() == 100_000


def test_thresholds_are_told_once(prices):
    cap("1")
    for _ in range(2):
        statuses(prices, 4)
        statuses(prices, 3)
    assert told() == [
        "50 % of your budget for 2026-11 is spent",
        "80 % of your budget for 2026-11 is spent",
        "Your budget for 2026-11 is spent",
    ]
    cap("3")
    statuses(prices, 2)
    assert told()[3:] == ["50 % of your budget for 2026-11 is spent"]


def test_a_spent_day_is_told_once(prices):
    cap("100", "0.25")
    statuses(prices, 4)
    assert told() == ["Your budget for 24 November is spent"]


def test_a_low_balance_is_told_once_until_it_is_filled(prices):
    cap("100")
    pay(mode="prepaid", alert_below=usd("0.60"))
    pay_in("1")
    statuses(prices, 6)
    assert told() == ["$0.50 is left for conversations", "Your balance for conversations is used up"]
    pay_in("1")
    statuses(prices, 6)
    assert told()[2:] == ["$0.50 is left for conversations", "Your balance for conversations is used up"]


def test_what_can_not_be_set(prices):
    for wrong in ({"mode": "barter"}, {"credit_limit": usd("-1")}, {"alert_below": usd("-1")}):
        with pytest.raises(Invalid):
            pay(**wrong)
    with pytest.raises(Invalid):
        budgets.set_budget(merchant_ref=MERCHANT, cap=usd("1"), day_cap=usd("-1"), at_cap="pause", by="x")
    for amount in (Money(0, "USD"), usd("0.10"), usd("100000.01"), usd("1.001")):
        with pytest.raises(Invalid):
            start_top_up(merchant_ref=MERCHANT, amount=amount, by="mia")


def test_changes_of_how_a_merchant_pays_are_kept(prices):
    pay(mode="prepaid", reason="wants to")
    pay(credit_limit=usd("5"), reason="asked for")
    changes = funding.funding_of(merchant_ref=MERCHANT, currency="USD").changes.all()
    assert [(change.mode, change.credit_limit_micros, change.reason) for change in changes] == [
        ("prepaid", None, "wants to"), ("prepaid", 5_000_000, "asked for"),
    ]  # fmt: skip


def test_days_sum_to_their_month_and_open_holds_to_both(prices):
    cap("100", "50")
    for day in (24, 24, 25):
        converse(prices, str(uuid.uuid4()), occurred_at=at(day) + timedelta(hours=1))
    budget = MerchantBudget.objects.get()
    assert sum(budget.days.values_list("spent_micros", flat=True)) == budget.spent_micros
    assert sum(Hold.objects.values_list("amount_micros", flat=True)) == budget.spent_micros
