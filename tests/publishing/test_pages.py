from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from agentstore.identity.models import Organization
from marketplace.publishing import pipeline, verdicts
from marketplace.publishing.models import Submission
from tests.bundles import source_bundle


def upload(client, studio, content=None, **fields):
    bundle = SimpleUploadedFile("scout.zip", source_bundle() if content is None else content)
    return client.post(reverse("publishing:submit", args=[studio.slug]), {"bundle": bundle, **fields})


def test_signing_in_comes_first(client, studio):
    answer = client.get(reverse("publishing:workspace", args=[studio.slug]))
    assert answer.status_code == 302
    assert "login" in answer.url


def test_a_new_developer_makes_a_studio(client, sam):
    client.force_login(sam)
    assert b"Start a studio" in client.get("/developer/").content
    answer = client.post("/developer/", {"name": "Sam's Agents"}, follow=True)
    studio = Organization.objects.get(name="Sam's Agents")
    assert answer.redirect_chain[-1][0] == reverse("publishing:workspace", args=[studio.slug])
    assert b"No agents yet" in answer.content
    again = client.post("/developer/", {"name": "Sam's Agents"})
    assert again.status_code == 422
    assert b"already" in again.content


def test_an_upload_leads_to_its_verdict_page_that_follows_the_checks(client, alice, studio):
    client.force_login(alice)
    answer = upload(client, studio, notes="Faster.")
    submission = Submission.objects.get()
    page = reverse("publishing:submission", args=[studio.slug, submission.pk])
    assert answer.url == page
    progress = reverse("publishing:submission_progress", args=[studio.slug, submission.pk])
    content = client.get(page).content.decode()
    assert f'hx-get="{progress}"' in content
    assert "Archive unpacks safely" in content
    assert "Faster." in content
    pipeline.unpack_submission(submission_id=submission.pk)
    verdicts.record_check(
        submission_id=submission.pk, name="image_inspected", passed=False,
        detail="It has a wheel for Windows.",
        evidence={"log": ["wheels/thing-win32.whl <b>"]},
    )  # fmt: skip
    verdicts.conclude(submission_id=submission.pk)
    content = client.get(progress).content.decode()
    assert "hx-get" not in content, "a closed submission is not asked for again"
    assert "It has a wheel for Windows." in content
    assert "wheels/thing-win32.whl &lt;b&gt;" in content
    assert "Not run" in content
    assert "Upload again" in content


def test_what_can_not_be_taken_is_told_beside_the_field(client, alice, studio):
    client.force_login(alice)
    assert client.post(reverse("publishing:submit", args=[studio.slug]), {}).status_code == 422
    answer = upload(client, studio, content=b"")
    assert answer.status_code == 422
    assert b"empty" in answer.content


def test_charlie_finds_nothing(client, charlie, studio, live_agent):
    client.force_login(charlie)
    submission = Submission.objects.get()
    paths = [
        reverse("publishing:workspace", args=[studio.slug]),
        reverse("publishing:submit", args=[studio.slug]),
        reverse("publishing:submissions", args=[studio.slug]),
        reverse("publishing:submission", args=[studio.slug, submission.pk]),
        reverse("publishing:submission_progress", args=[studio.slug, submission.pk]),
        reverse("publishing:agent", args=[studio.slug, live_agent.slug]),
        "/operator/",
        "/operator/review/",
        reverse("publishing:review", args=[submission.pk]),
        "/operator/agents/",
    ]
    assert {path: client.get(path).status_code for path in paths} == dict.fromkeys(paths, 404)
    assert upload(client, studio).status_code == 404
    for name in ("suspend", "reinstate"):
        assert client.post(reverse(f"publishing:{name}", args=[live_agent.slug])).status_code == 404
    roll_back = reverse("publishing:roll_back", args=[studio.slug, live_agent.slug])
    assert client.post(roll_back).status_code == 404


def test_charlies_own_studio_does_not_open_anothers_submission(client, charlie, live_agent):
    from agentstore.identity.services import create_organization

    mine = create_organization(kind="developer", name="Copycats", owner=charlie)
    client.force_login(charlie)
    submission = Submission.objects.get()
    for path in (
        reverse("publishing:submission", args=[mine.slug, submission.pk]),
        reverse("publishing:agent", args=[mine.slug, live_agent.slug]),
    ):
        assert client.get(path).status_code == 404


def test_the_agents_page_has_versions_history_and_listing(client, alice, bob, studio, live_agent):
    path = reverse("publishing:agent", args=[studio.slug, live_agent.slug])
    client.force_login(alice)
    content = client.get(path).content.decode()
    for words in ("1.0.0", "Search the catalogue", "First submission", "Listing"):
        assert words in content
    client.post(path, {"tagline": "Even cheaper.", "description": ""})
    assert "Even cheaper." in client.get(path).content.decode()
    client.force_login(bob)
    assert b"Listing</h2>" not in client.get(path).content
    assert client.post(path, {"tagline": "Bob's.", "description": ""}).status_code == 403


def test_an_operator_reviews(client, olivia, reviewable):
    client.force_login(olivia)
    assert b"Nothing to review" in client.get("/operator/review/").content
    submission = reviewable()
    assert b"Bargain Scout 1.0.0" in client.get("/operator/review/").content
    page = reverse("publishing:review", args=[submission.pk])
    content = client.get(page).content.decode()
    for words in ("Search the catalogue", "64 MiB", "Recommends only what exists", "Faster."):
        assert words in content
    refused = client.post(page, {"decision": "reject", "note": ""})
    assert refused.status_code == 422
    assert b"needs a note" in refused.content
    client.post(page, {"decision": "approve", "note": "Good."})
    submission.refresh_from_db()
    assert submission.status == "approved"
    assert b"Bargain Scout 1.0.0" in client.get("/operator/review/?show=decided").content
    late = client.post(page, {"decision": "reject", "note": "Too late."})
    assert late.status_code == 409


def test_an_operator_suspends_and_reinstates(client, olivia, live_agent):
    client.force_login(olivia)
    assert b"Bargain Scout" in client.get("/operator/agents/?status=listed&q=scout").content
    client.post(reverse("publishing:suspend", args=[live_agent.slug]), {"reason": "Misleading."})
    assert b"Bargain Scout" in client.get("/operator/agents/?status=suspended").content
    client.post(reverse("publishing:reinstate", args=[live_agent.slug]), {"reason": "Repaired."})
    live_agent.refresh_from_db()
    assert live_agent.status == "listed"
    assert client.get("/operator/").status_code == 200


def test_a_page_costs_the_same_queries_for_any_number_of_rows(
    client, olivia, reviewable, django_assert_max_num_queries
):
    for number in range(5):
        reviewable(f"1.{number}.0")
    client.force_login(olivia)
    with django_assert_max_num_queries(12):
        client.get("/operator/review/")


@pytest.mark.parametrize("path", ["/developer/", "/operator/review/", "/operator/agents/"])
def test_no_inline_script_or_style(client, olivia, path):
    client.force_login(olivia)
    content = client.get(path).content.decode()
    assert "style=" not in content
    assert "<script>" not in content
