"""The operator's prices from draft to announcement, in the browser's words."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from agentstore.kit.clock import now
from billing.models import PriceVersion
from billing.pricing import Terms, draft_prices
from tests.billing.conftest import TERMS
from tests.billing.test_pages import business, text

__all__ = ["business"]

ROWS = {
    "form-TOTAL_FORMS": "3", "form-INITIAL_FORMS": "0",
    "form-0-category": "", "form-0-ppcv": "0.15", "form-0-agent_tax": "15", "form-0-developer_share": "70",
    "form-1-category": "toys", "form-1-ppcv": "0.200001", "form-1-agent_tax": "", "form-1-developer_share": "",
    "form-2-category": "", "form-2-ppcv": "", "form-2-agent_tax": "", "form-2-developer_share": "",
}  # fmt: skip


def day_in(days: int) -> str:
    return str((now() + timedelta(days=days)).date())


def test_an_operator_drafts_looks_changes_and_announces(client, olivia, business):
    client.force_login(olivia)
    start = text(client, reverse("billing:price_draft"))
    assert 'value="0.25"' in start, "it begins as the prices in force"
    made = client.post(reverse("billing:price_draft"), {"name": "winter", **ROWS})
    version = PriceVersion.objects.get(name="winter")
    assert made.url == reverse("billing:price_version", args=[version.pk])
    assert version.ppcv("toys").micros == 200_001
    page = text(client, made.url)
    assert "Pay per conversation, toys: $0.15 → $0.200001" in page
    assert "Pay per conversation, electronics: $0.25 → $0.15" in page
    assert "Rise" in page
    again = client.post(reverse("billing:price_redraft", args=[version.pk]), {**ROWS, "form-1-ppcv": "0.19"})
    assert again.status_code == 302

    announce = reverse("billing:price_announce", args=[version.pk])
    refused = client.post(announce, {"day": day_in(5)})
    assert refused.status_code == 422
    assert "14 days" in refused.content.decode()
    assert client.post(announce, {"day": day_in(15), "reason": "costs"}).status_code == 302
    version.refresh_from_db()
    assert (version.status, f"{version.effective_at:%H:%M}") == ("announced", "00:00")
    assert "winter" in text(client, reverse("billing:fees"))
    assert "costs" in text(client, made.url)
    assert (
        client.post(reverse("billing:price_withdraw", args=[version.pk]), {"reason": "no"}).status_code == 302
    )
    assert "Withdrawn" in text(client, reverse("billing:prices"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"form-0-ppcv": ""}, "This field is required"),
        ({"form-0-agent_tax": "20.0001"}, "20"),
        ({"form-0-ppcv": "-1"}, "greater than or equal to 0"),
        ({"form-2-category": "toys", "form-2-ppcv": "1"}, "named twice"),
        ({"form-2-ppcv": "1"}, "need a category"),
        ({"name": "test prices"}, "already"),
    ],
)
def test_what_makes_no_draft(client, olivia, prices, changes, words):
    client.force_login(olivia)
    answer = client.post(reverse("billing:price_draft"), {"name": "winter", **ROWS, **changes})
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not PriceVersion.objects.filter(name="winter").exists()


def test_the_effect_on_the_last_month_is_shown_before_announcing(client, olivia, business):
    draft = draft_prices(name="dearer", terms=[*TERMS, Terms("ppcv", 9, "toys")], by="olivia")
    client.force_login(olivia)
    page = text(client, reverse("billing:price_version", args=[draft.pk]))
    assert "What it would have made of" in page


def test_prices_are_the_operators(client, charlie, prices):
    pages = [reverse("billing:prices"), reverse("billing:price_draft")]
    pages += [reverse(f"billing:price_{name}", args=[prices.pk]) for name in ("version", "redraft")]
    actions = [reverse(f"billing:price_{name}", args=[prices.pk]) for name in ("announce", "withdraw")]
    client.force_login(charlie)
    for url in pages:
        text(client, url, 404)
    for url in [*actions, *pages[1:2]]:
        assert client.post(url, ROWS).status_code == 404
