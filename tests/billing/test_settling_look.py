"""The pages of statements, invoices, disputes and payouts in a real browser: axe finds nothing."""

from __future__ import annotations

import pytest
from django.urls import reverse

from billing import disputes, payouts
from billing.models import Invoice, PayoutAccount, UsageEvent
from tests.billing.test_statement_pages import addresses, month
from tests.look.axe import session_cookies, walk

__all__ = ["month"]

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def test_settling_pages_are_clean(browser, month, live_server, client, olivia, mia, alice):
    merchant, studio = month
    event = UsageEvent.objects.filter(merchant_ref=merchant.ref).latest("pk")
    dispute = disputes.open_dispute(
        event_id=event.pk, owner_ref=merchant.ref, reason="Nobody was there.", by="mia"
    )
    Invoice.objects.update(
        status="open", number="A-0001", url="https://example.com/pay", paid_minor=10, dispute_ref="du_1"
    )
    PayoutAccount.objects.create(
        owner_ref=studio.ref, processor_ref="acct_1", country="DE", missing=["external_account"]
    )
    payouts.place_hold(owner_ref=studio.ref, reason="An operator looks at it.", by="olivia")
    visits = {
        mia: [
            *addresses(merchant, "merchant")[:3],
            reverse("billing:dispute", args=[merchant.slug, event.pk]),
            reverse("billing:charge", args=[merchant.slug, event.pk]),
        ],
        alice: [
            reverse("billing:earning", args=[studio.slug, event.pk]),
            addresses(studio, "developer")[1],
            reverse("billing:earnings", args=[studio.slug]),
        ],
        olivia: [
            reverse("billing:fee", args=[event.pk]),
            reverse("billing:disputes"),
            reverse("billing:decide_dispute", args=[dispute.pk]),
            reverse("billing:invoices"),
            reverse("billing:payouts"),
        ],
    }
    for person, pages in visits.items():
        client.force_login(person)
        walk(browser, live_server.url, pages, cookies=session_cookies(client, live_server.url))
