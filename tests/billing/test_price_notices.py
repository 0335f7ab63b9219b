"""Announced prices: everybody is told once, with what they would have made of the last month."""

from __future__ import annotations

import pytest
import time_machine
from django.core import mail

from billing import budgets, metering, notices
from billing.models import Notice, UsageEvent
from billing.periods import Month
from billing.price_effects import effects_on
from billing.price_notices import tell_of_prices
from billing.pricing import Terms, announce_prices, draft_prices, withdraw_prices
from tests.billing.conftest import TERMS, at, converse, take_back, usd

DEARER = [
    Terms("ppcv", 150_000),
    Terms("ppcv", 300_000, "electronics"),
    Terms("agent_tax", 150_000),
    Terms("agent_tax", 100_000, "grocery"),
    Terms("developer_share", 650_000),
]


@pytest.fixture
def month(prices, merchant, studio):
    """October: four conversations about electronics, one taken back; groceries sold for 40, of which 10 came back."""
    tell_of_prices()
    who = {"merchant_ref": merchant.ref, "developer_ref": studio.ref, "occurred_at": at(20, month=10)}
    with time_machine.travel(at(20, month=10)):
        budgets.set_budget(merchant_ref=merchant.ref, cap=usd("100"), at_cap="pause", by="mia")
        outcomes = [converse(prices, f"c{number}", **who) for number in range(5)]
        take_back(outcomes[0])
        metering.meter_agent_tax(
            line_ref="line:1", conversation_ref="c1", category="grocery", price_version_id=prices.pk,
            amount=usd("40"), **who,
        )  # fmt: skip
        metering.reverse_agent_tax(line_ref="line:1", refunded=usd("10"), refund_ref="r1")
    with time_machine.travel(at(2)):
        yield


def announce(terms=DEARER, name="dearer"):
    version = draft_prices(name=name, terms=terms, by="olivia")
    return announce_prices(version_id=version.pk, effective_at=at(20), by="olivia")


def test_the_effect_of_other_prices_on_a_month(month, merchant, studio):
    effects = effects_on(Month(2026, 10), draft_prices(name="x", terms=DEARER, by="olivia"))
    fees = effects.merchants[merchant.ref]
    assert (fees.before, fees.after) == (4 * 250_000 + 2_400_000, 4 * 300_000 + 3_000_000)
    shares = effects.developers[studio.ref]
    assert (shares.before, shares.after) == (2_380_000, 2_730_000)
    assert (effects.fees, effects.shares) == (fees, shares)
    assert effects_on(Month(2026, 9), announce()).merchants == {}


def test_the_same_prices_have_no_effect(month, prices):
    effects = effects_on(Month(2026, 10), prices)
    assert effects.fees.change == effects.shares.change == 0
    assert UsageEvent.objects.exists()


def test_everybody_is_told_once_what_changes_and_what_it_means(month, merchant, studio, mia, alice, bob):
    announce()
    assert tell_of_prices() == 1
    assert tell_of_prices() == 0
    to_merchant = Notice.objects.get(owner_ref=merchant.ref)
    assert to_merchant.subject == "Fees change on 20 November 2026"
    assert "Pay per conversation, electronics: $0.25 → $0.30" in to_merchant.text
    assert "Agent tax, grocery: 8 % → 10 %" in to_merchant.text
    assert "In October 2026 you were charged $3.40" in to_merchant.text
    assert "$4.20, $0.80 more" in to_merchant.text
    to_studio = Notice.objects.get(owner_ref=studio.ref)
    assert "Developer share, all other categories: 70 % → 65 %" in to_studio.text
    assert "Agent tax" not in to_studio.text
    assert "earned $2.38" in to_studio.text
    assert "$2.73, $0.35 more" in to_studio.text

    assert notices.send_due_notices() == 2
    assert notices.send_due_notices() == 0
    assert sorted(message.to[0] for message in mail.outbox) == [alice.email, mia.email], "not the mere member"
    assert "/fees/" in mail.outbox[0].body


def test_a_studio_is_not_told_of_fees_that_only_merchants_pay(month, merchant, studio):
    announce([*TERMS, Terms("ppcv", 1, "toys")], name="cheaper")
    tell_of_prices()
    assert [notice.owner_ref for notice in Notice.objects.all()] == [merchant.ref]


def test_who_was_told_is_told_of_a_withdrawal(month, merchant):
    version = announce()
    tell_of_prices()
    withdraw_prices(version_id=version.pk, by="olivia", reason="a mistake")
    assert tell_of_prices() == 1
    assert tell_of_prices() == 0
    assert Notice.objects.filter(owner_ref=merchant.ref, subject__contains="don't change").count() == 1


def test_withdrawn_before_anybody_knew_nobody_is_told(month):
    withdraw_prices(version_id=announce().pk, by="olivia", reason="a mistake")
    assert tell_of_prices() == 0


def test_a_mail_server_that_is_away_delays_a_notice(db, merchant, settings):
    with time_machine.travel(at(2), tick=False) as clock:
        notices.tell(key="k", owner_ref=merchant.ref, subject="s", text="t")
        notices.tell(key="k", owner_ref=merchant.ref, subject="another", text="t")
        working = settings.EMAIL_BACKEND
        settings.EMAIL_BACKEND, settings.EMAIL_HOST = (
            "django.core.mail.backends.smtp.EmailBackend",
            "127.0.0.1",
        )
        settings.EMAIL_PORT = 1
        assert notices.send_due_notices() == 0
        settings.EMAIL_BACKEND = working
        assert notices.send_due_notices() == 0, "it waits"
        clock.shift(61)
        assert notices.send_due_notices() == 1
    assert [message.subject for message in mail.outbox] == ["s"]


def test_a_notice_to_nobody_is_done(db):
    for number, ref in enumerate(("platform", "org:nonsense", "org:00000000-0000-7000-8000-000000000000")):
        notices.tell(key=str(number), owner_ref=ref, subject="s", text="t")
    assert notices.send_due_notices() == 3
    assert mail.outbox == []
