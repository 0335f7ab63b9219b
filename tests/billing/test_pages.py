"""The money pages: each shows its own, and nobody else gets in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from agentstore.kit.clock import now
from agentstore.kit.pagination import MalformedCursor, encode_cursor
from billing import budgets, metering, posting
from billing.account_pages import read_account_lines
from billing.models import Account, Journal, MerchantBudget
from billing.sales import SaleLine, post_sale
from tests.billing.conftest import converse, usd
from tests.billing.test_ledger import sale


@pytest.fixture
def business(prices, merchant, studio, settings):
    """A merchant and a studio with one billed conversation and one taxed sale."""
    settings.PPCV_QUARANTINE_SECONDS = 0
    budgets.set_budget(merchant_ref=merchant.ref, cap=usd("100"), at_cap="organic", by="mia")
    who = {"merchant_ref": merchant.ref, "developer_ref": studio.ref, "occurred_at": now()}
    assert converse(prices, "conversation-0001", **who).status == "held"
    posting.post_due_events()
    post_sale(order_ref="order:1", payment_ref="pi_1", lines=[SaleLine("line:1", merchant.ref, usd("129"))])
    metering.meter_agent_tax(
        line_ref="line:1",
        conversation_ref="conversation-0001",
        category="electronics",
        price_version_id=prices.pk,
        amount=usd("129"),
        **who,
    )
    return merchant, studio


def operators_pages() -> list[str]:
    journal = Journal.objects.get(kind="ppcv")
    account = journal.entries.order_by("leg")[0].account
    return [
        reverse("billing:operator"),
        reverse("billing:ledger"),
        reverse("billing:closes"),
        reverse("billing:accounts"),
        reverse("billing:account", args=[account.pk]),
        reverse("billing:journal", args=[journal.pk]),
    ]


def text(client, url: str, status: int = 200) -> str:
    answer = client.get(url)
    assert answer.status_code == status, url
    return str(answer.content, "utf-8")


def test_the_operator_sees_income_and_books(client, olivia, business):
    client.force_login(olivia)
    overview, ledger, closes, accounts, account, journal = (text(client, url) for url in operators_pages())
    assert "$5.88" in overview  # 30 % of 25 cents and of 19.35
    assert "Balanced" in ledger
    assert "$129.00" in ledger
    assert "Audio Haus" in accounts
    assert "ppcv:conversation-0001" in journal
    assert "$0.175" in journal
    assert "No day is closed yet" in closes
    assert "Balance" in account


def test_the_operator_filters_journals_and_usage(client, olivia, business):
    client.force_login(olivia)
    page = text(client, reverse("billing:ledger") + "?kind=sale")
    assert "sale:order:1" in page
    assert "agent_tax:line:1" not in page
    assert "agent_tax:line:1" in text(client, reverse("billing:ledger") + "?q=agent_tax:")
    assert "No usage here" in text(client, reverse("billing:usage") + "?status=rejected")
    assert text(client, reverse("billing:ledger") + "?cursor=nonsense", 400)


def test_the_trial_balance_of_a_day_that_is_over(client, olivia, business):
    client.force_login(olivia)
    url = reverse("billing:ledger")
    today = now().date()
    assert "$129.00" in text(client, f"{url}?day={today}")
    assert "The books are empty" in text(client, f"{url}?day={today - timedelta(days=1)}")
    assert "Trial balance" in text(client, f"{url}?day=nonsense")


def test_an_account_shows_the_balance_after_each_entry_over_its_pages(db):
    amounts = [3, 5, 7, 11, 13]
    for number, micros in enumerate(amounts):
        sale(f"sale:{number}", micros)
    account = Account.objects.get(kind="processor_clearing")
    first = read_account_lines(account, size=2)
    second = read_account_lines(account, size=2, cursor=first.next_cursor)
    third = read_account_lines(account, size=2, cursor=second.next_cursor)
    lines = [*first.items, *second.items, *third.items]
    assert [line.entry.amount for line in lines] == [13, 11, 7, 5, 3]
    assert [line.after.micros for line in lines] == [39, 26, 15, 8, 3]
    assert third.next_cursor is None
    with pytest.raises(MalformedCursor):
        read_account_lines(account, cursor=encode_cursor(["1", "x", None]))


def test_the_operators_pages_do_not_exist_for_others(client, charlie, business):
    for url in operators_pages():
        assert client.get(url).status_code == 302, "the sign-in form"
    client.force_login(charlie)
    for url in operators_pages():
        text(client, url, 404)


def test_a_merchant_sees_each_charge_with_its_reason(client, mia, business):
    client.force_login(mia)
    page = text(client, reverse("billing:merchant", args=[business[0].slug]))
    assert "Recommended in a conversation: $0.25" in page
    assert "Sold by an agent: 15 % of $129.00" in page
    assert "$109.65" in page  # the sale less its tax
    assert "test prices" in page


def test_a_merchant_sets_its_budget(client, mia, merchant, prices):
    client.force_login(mia)
    url = reverse("billing:merchant", args=[merchant.slug])
    assert "Without a budget" in text(client, url)
    assert client.post(url, {"cap": "-1", "at_cap": "organic"}).status_code == 422
    assert client.post(url, {"cap": "250.50", "at_cap": "pause"}).status_code == 302
    budget = MerchantBudget.objects.get(merchant_ref=merchant.ref)
    assert (budget.cap_micros, budget.at_cap) == (250_500_000, "pause")
    assert budget.changes.get().by == f"user:{mia.pk}"


def test_a_developer_sees_what_is_pending_and_why(client, alice, bob, business):
    for person in (alice, bob):
        client.force_login(person)
        page = text(client, reverse("billing:earnings", args=[business[1].slug]))
        assert "$13.72" in page
        assert "Audio Haus" in page


def test_charlie_is_nobodys_colleague(client, charlie, alice, business):
    merchant, studio = business
    client.force_login(charlie)
    text(client, reverse("billing:merchant", args=[merchant.slug]), 404)
    text(client, reverse("billing:earnings", args=[studio.slug]), 404)
    assert client.post(reverse("billing:merchant", args=[merchant.slug]), {"cap": "1"}).status_code == 404
    client.force_login(alice)
    text(client, reverse("billing:merchant", args=[merchant.slug]), 404)
    text(client, reverse("billing:earnings", args=[merchant.slug]), 404)


def test_a_mere_member_may_read_but_not_set_the_budget(client, mia, sam, merchant, prices):
    from agentstore.identity.services import add_member

    add_member(organization=merchant, user=sam, role="member", by=mia)
    client.force_login(sam)
    url = reverse("billing:merchant", args=[merchant.slug])
    assert "Owners and admins" in text(client, url)
    assert client.post(url, {"cap": "1", "at_cap": "pause"}).status_code == 403


def test_the_fees_are_public(client, prices):
    page = text(client, reverse("billing:fees"))
    assert "$0.25" in page
    assert "70%" in page


def test_the_administration_shows_and_changes_nothing(client, business):
    from tests.cast import person

    client.force_login(person("Root", is_staff=True, is_superuser=True))
    for model in ("account", "journal", "usageevent", "priceversion", "merchantbudget", "webhookevent"):
        assert client.get(reverse(f"admin:billing_{model}_changelist")).status_code == 200
        assert client.get(reverse(f"admin:billing_{model}_add")).status_code == 403
