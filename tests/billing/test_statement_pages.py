"""The pages of statements: members read, managers set the address, nobody else gets in."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from uuid import uuid4

import pytest
import time_machine
from django.urls import reverse

from agentstore.identity.services import add_member
from agentstore.kit.pagination import encode_cursor
from billing import budgets, metering, posting, statements
from billing.models import BillingParty, Statement
from billing.views import statements as pages
from tests.billing.conftest import usd
from tests.billing.seen import until_all_is_seen

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def month(prices, merchant, studio, settings):
    """A merchant's and a studio's October: four conversations."""
    settings.PPCV_QUARANTINE_SECONDS = 0
    happened = datetime(2026, 10, 20, 12, tzinfo=UTC)
    with time_machine.travel(happened, tick=False):
        budgets.set_budget(merchant_ref=merchant.ref, cap=usd("100"), at_cap="organic", by="mia")
        for number in range(4):
            metering.meter_ppcv(
                conversation_ref=f"conversation-{number:04d}", merchant_ref=merchant.ref,
                developer_ref=studio.ref, category="electronics", price_version_id=prices.pk,
                occurred_at=happened,
            )  # fmt: skip
        posting.post_due_events()
    with time_machine.travel(datetime(2026, 11, 4, tzinfo=UTC)):
        until_all_is_seen()
        statements.close_due_months()
    return merchant, studio


def addresses(organization, kind: str) -> list[str]:
    statement = Statement.objects.get(owner_ref=organization.ref)
    args = [organization.slug, statement.pk]
    return [
        reverse(f"billing:{kind}_statements", args=[organization.slug]),
        reverse(f"billing:{kind}_statement", args=args),
        reverse(f"billing:{kind}_statement_line", args=[*args, 1]),
        reverse(f"billing:{kind}_statement_pdf", args=args),
        reverse(f"billing:{kind}_statement_csv", args=args),
    ]


def text(client, url: str, status: int = 200) -> str:
    answer = client.get(url)
    assert answer.status_code == status, url
    return str(answer.getvalue(), "utf-8", "replace")


def test_a_merchant_reads_its_month(client, mia, month):
    client.force_login(mia)
    index, page, line, pdf, rows = (text(client, url) for url in addresses(month[0], "merchant"))
    assert "2026-10" in index
    assert "Waits" not in index
    assert "$1.00" in page
    assert "$0.25" in page
    assert "rsation-0003" in line
    assert pdf.startswith("%PDF-")
    assert "Conversations, electronics" in rows
    assert text(client, addresses(month[0], "merchant")[-1] + "?items=1").count("conversation-") == 4


def test_a_line_of_many_movements_is_turned_page_by_page(client, mia, month, monkeypatch):
    monkeypatch.setattr(pages, "PER_PAGE", 3)
    client.force_login(mia)
    address = addresses(month[0], "merchant")[2]
    first = text(client, address)
    (onward,) = re.findall(r'rel="next" href="([^"]+)"', first)
    second = text(client, address + unescape(onward))
    shown = [set(re.findall(r"rsation-\d+", page)) for page in (first, second)]
    assert [len(each) for each in shown] == [3, 1]
    assert not shown[0] & shown[1]
    assert 'rel="next"' not in second
    for forged in (["-1", str(uuid4())], [str(1 << 64), str(uuid4())], ["x", "y"], [None, None]):
        text(client, f"{address}?cursor={encode_cursor(forged)}", 400)


def test_a_developer_reads_its_month(client, bob, month):
    client.force_login(bob)
    index, page, line, _, rows = (text(client, url) for url in addresses(month[1], "developer"))
    assert "Invoices" not in index
    assert "$0.70" in page
    assert "$0.175" in line
    assert "0.70" in rows


def test_charlie_and_colleagues_of_others_are_refused(client, charlie, alice, month):
    merchant, studio = month
    theirs = addresses(merchant, "merchant") + addresses(studio, "developer")
    for url in theirs:
        assert client.get(url).status_code == 302, "the sign-in form"
    client.force_login(charlie)
    for url in theirs:
        text(client, url, 404)
    assert client.post(theirs[0], {"name": "C", "email": "c@example.com", "country": "DE"}).status_code == 404
    client.force_login(alice)
    for url in addresses(merchant, "merchant"):
        text(client, url, 404)
    other = Statement.objects.get(owner_ref=merchant.ref)
    text(client, reverse("billing:developer_statement", args=[studio.slug, other.pk]), 404)
    text(client, reverse("billing:developer_statement_csv", args=[studio.slug, other.pk]), 404)


def test_owners_set_the_address_and_members_do_not(client, mia, sam, month):
    merchant = month[0]
    url = reverse("billing:merchant_statements", args=[merchant.slug])
    given = {"name": "Audio Haus", "email": "mia@example.com", "country": "de"}
    client.force_login(mia)
    assert "Invoices wait for this address" in text(client, url)
    assert client.post(url, {**given, "country": "Germany"}).status_code == 422
    assert client.post(url, given).status_code == 302
    assert BillingParty.objects.get(owner_ref=merchant.ref).country == "DE"
    add_member(organization=merchant, user=sam, role="member", by=mia)
    client.force_login(sam)
    assert "can change it" in text(client, url)
    assert client.post(url, given).status_code == 403


def test_whether_a_merchant_is_taxed_is_its_operators_word(client, admin_client, mia, month):
    merchant = month[0]
    url = reverse("billing:merchant_statements", args=[merchant.slug])
    given = {"name": "Audio Haus", "email": "mia@example.com", "country": "DE"}
    client.force_login(mia)
    assert client.post(url, {**given, "tax_exempt": "exempt"}).status_code == 302

    def exempt() -> str:
        return str(BillingParty.objects.get(owner_ref=merchant.ref).tax_exempt)

    assert exempt() == "none"
    change = reverse("admin:billing_billingparty_change", args=[merchant.ref])
    assert admin_client.post(change, {"tax_exempt": "reverse"}).status_code == 302
    assert exempt() == "reverse"
    assert client.post(url, {**given, "city": "Berlin"}).status_code == 302
    assert "reverse charge" in text(client, url)
    assert exempt() == "reverse"
    assert client.post(url, {**given, "country": "FR"}).status_code == 302
    assert exempt() == "none"


def test_an_empty_shelf_says_what_will_be_there(client, mia, alice, merchant, studio):
    client.force_login(mia)
    assert "No invoices yet" in text(client, reverse("billing:merchant_statements", args=[merchant.slug]))
    client.force_login(alice)
    assert "No statements yet" in text(client, reverse("billing:developer_statements", args=[studio.slug]))


def test_what_is_not_there_is_not_found(client, mia, month):
    client.force_login(mia)
    statement = Statement.objects.get(owner_ref=month[0].ref)
    text(client, reverse("billing:merchant_statement_line", args=[month[0].slug, statement.pk, 99]), 404)
