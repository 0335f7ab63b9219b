"""Law 8: prices are versioned, and a rise takes effect after at least 14 days' notice."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.core.management import call_command

from agentstore.kit.errors import Conflict, Invalid
from billing.errors import NoPricesInForce, NoticeTooShort, PricesNotDraft, PricesNotFixed
from billing.models import PriceVersion
from billing.pricing import (
    Change,
    Terms,
    activate_due_prices,
    announce_prices,
    compare,
    current_price_version,
    draft_prices,
    fixed_terms,
    redraft_prices,
    withdraw_prices,
)
from tests.billing.conftest import TERMS, at, usd


@pytest.fixture(autouse=True)
def today():
    with time_machine.travel(at(2), tick=False):
        yield


def changed(name: str, **values: int) -> PriceVersion:
    """The test prices with other defaults."""
    terms = [term if term.category else Terms(term.kind, values.get(term.kind, term.value)) for term in TERMS]
    return draft_prices(name=name, terms=terms, by="olivia")


def test_a_category_has_its_own_fee_and_the_others_the_default(prices):
    assert prices.ppcv("electronics") == usd("0.25")
    assert prices.ppcv("toys") == usd("0.15")
    assert prices.tax_ppm("grocery") == 80_000
    assert prices.tax_ppm("electronics") == 150_000
    assert prices.share_ppm() == 700_000


@pytest.mark.parametrize(
    ("kind", "dearer"), [("ppcv", 150_001), ("agent_tax", 150_001), ("developer_share", 699_999)]
)
def test_a_rise_needs_fourteen_days(prices, kind, dearer):
    draft = changed("dearer", **{kind: dearer})
    soon = at(2) + timedelta(days=14) - timedelta(microseconds=1)
    with pytest.raises(NoticeTooShort):
        announce_prices(version_id=draft.pk, effective_at=soon, by="olivia")
    announced = announce_prices(version_id=draft.pk, effective_at=at(16), by="olivia")
    assert announced.status == "announced"
    assert current_price_version() == prices
    assert current_price_version(at(16)) == announced


def test_a_rise_in_one_category_is_a_rise(prices):
    draft = draft_prices(name="toys", terms=[*TERMS, Terms("ppcv", 150_001, "toys")], by="olivia")
    assert compare(prices, draft) == [Change("ppcv", "toys", 150_000, 150_001)]
    assert compare(prices, draft)[0].worse


def test_a_rise_by_leaving_a_cheap_category_out_is_a_rise(prices):
    draft = draft_prices(name="x", terms=[term for term in TERMS if term.category != "grocery"], by="olivia")
    with pytest.raises(NoticeTooShort):
        announce_prices(version_id=draft.pk, effective_at=at(3), by="olivia")


def test_a_rise_can_not_hide_behind_one_that_is_already_announced(prices):
    cheaper = changed("cheaper", ppcv=100_000)
    announce_prices(version_id=cheaper.pk, effective_at=at(3), by="olivia")
    back = changed("back", ppcv=150_000)
    with pytest.raises(NoticeTooShort):
        announce_prices(version_id=back.pk, effective_at=at(4), by="olivia")


def test_cheaper_prices_may_come_at_once(prices):
    cheaper = announce_prices(version_id=changed("cheaper", ppcv=1).pk, effective_at=at(2), by="olivia")
    assert cheaper.status == "in_force"
    prices.refresh_from_db()
    assert prices.status == "superseded"
    assert [change.status for change in prices.changes.all()] == [
        "draft", "announced", "in_force", "superseded",
    ]  # fmt: skip


def test_announced_prices_come_into_force_by_the_clock(prices):
    announced = announce_prices(version_id=changed("dearer", ppcv=9).pk, effective_at=at(20), by="olivia")
    with time_machine.travel(at(21), tick=False):
        assert current_price_version() == announced
        assert activate_due_prices() == 1
        assert activate_due_prices() == 0
        announced.refresh_from_db()
        assert announced.status == "in_force"


def test_announced_prices_can_be_withdrawn_until_their_day(prices):
    announced = announce_prices(version_id=changed("dearer", ppcv=9).pk, effective_at=at(20), by="olivia")
    withdraw_prices(version_id=announced.pk, by="olivia", reason="a mistake")
    assert current_price_version(at(21)) == prices
    with pytest.raises(PricesNotFixed):
        fixed_terms(announced.pk)
    with pytest.raises(Conflict):
        withdraw_prices(version_id=prices.pk, by="olivia", reason="too late")


def test_a_draft_can_be_changed_and_withdrawn_but_not_what_is_announced(prices):
    draft = changed("draft", ppcv=1)
    redraft_prices(version_id=draft.pk, terms=[*TERMS, Terms("ppcv", 9, "toys")], by="olivia")
    assert PriceVersion.objects.get(pk=draft.pk).ppcv("toys").micros == 9
    with pytest.raises(Invalid, match="default"):
        redraft_prices(version_id=draft.pk, terms=[Terms("ppcv", 9)], by="olivia")
    with pytest.raises(PricesNotDraft):
        redraft_prices(version_id=prices.pk, terms=TERMS, by="olivia")
    withdraw_prices(version_id=draft.pk, by="olivia", reason="second thoughts")
    with pytest.raises(PricesNotDraft):
        announce_prices(version_id=draft.pk, effective_at=at(20), by="olivia")


def test_what_can_not_be_drafted_or_announced(prices):
    with pytest.raises(Invalid, match="developer_share"):
        draft_prices(name="x", terms=[Terms("ppcv", 1), Terms("agent_tax", 1)], by="olivia")
    with pytest.raises(Invalid, match="limit"):
        changed("greedy", agent_tax=200_001)
    with pytest.raises(Conflict):
        changed("test prices")
    with pytest.raises(PricesNotDraft):
        announce_prices(version_id=prices.pk, effective_at=at(20), by="olivia")
    with pytest.raises(Invalid, match="past"):
        announce_prices(version_id=changed("y", ppcv=1).pk, effective_at=at(1), by="olivia")


def test_without_prices_nothing_is_billed(db):
    with pytest.raises(NoPricesInForce):
        current_price_version()


def test_seeding_twice_is_seeding_once(db):
    call_command("seed_prices", verbosity=0)
    call_command("seed_prices", verbosity=0)
    version = current_price_version()
    assert version.ppcv("") == usd("0.15")
    assert (version.tax_ppm(""), version.share_ppm()) == (150_000, 700_000)
    assert PriceVersion.objects.count() == 1


def test_a_withdrawal_does_not_make_a_rise_without_notice(prices):
    dear = announce_prices(version_id=changed("dear", ppcv=300_000).pk, effective_at=at(20), by="olivia")
    with time_machine.travel(at(15), tick=False):
        less = announce_prices(version_id=changed("less", ppcv=200_000).pk, effective_at=at(21), by="olivia")
        with pytest.raises(NoticeTooShort):
            withdraw_prices(version_id=dear.pk, by="olivia", reason="a mistake")
        dear.refresh_from_db()
        assert dear.status == "announced"
        withdraw_prices(version_id=less.pk, by="olivia", reason="a mistake")
        assert withdraw_prices(version_id=dear.pk, by="olivia", reason="a mistake").status == "withdrawn"
