"""The pages in a real browser: axe finds nothing, nothing overflows, the policy blocks nothing."""

from __future__ import annotations

import pytest
from django.urls import reverse

from marketplace.publishing import pipeline, verdicts
from tests.bundles import source_bundle
from tests.look.axe import session_cookies, walk

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def test_every_page_is_accessible_in_both_themes_and_widths(
    browser, live_server, client, alice, olivia, studio, live_agent, reviewable, submit
):
    waiting = reviewable("1.1.0")
    failed = submit(source_bundle(slug='"gift-whisperer"'))
    pipeline.unpack_submission(submission_id=failed.pk)
    verdicts.record_check(
        submission_id=failed.pk,
        name="starts_in_time",
        passed=False,
        detail="It ended while it was starting.",
        evidence={"log": ["ModuleNotFoundError: No module named 'requests'" + " and more" * 20]},
    )
    verdicts.conclude(submission_id=failed.pk)
    pages = {
        alice: [
            "/developer/",
            reverse("publishing:workspace", args=[studio.slug]),
            reverse("publishing:submit", args=[studio.slug]),
            reverse("publishing:submission", args=[studio.slug, failed.pk]),
            reverse("publishing:agent", args=[studio.slug, live_agent.slug]),
        ],
        olivia: [
            "/operator/",
            "/operator/review/",
            reverse("publishing:review", args=[waiting.pk]),
            "/operator/agents/",
        ],
    }
    for person, paths in pages.items():
        client.force_login(person)
        walk(browser, live_server.url, paths, cookies=session_cookies(client, live_server.url))
