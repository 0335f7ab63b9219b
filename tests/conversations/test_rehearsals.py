"""Every submission holds a conversation before an operator sees it."""

from __future__ import annotations

import pytest

from billing.models import UsageEvent
from marketplace.publishing.models import Submission, Version
from marketplace.shopping.models import Conversation
from marketplace.shopping.rehearsals import RehearsalUndecided, canned_request, rehearse
from sandbox.models import Sandbox
from tests.conversations.world import sell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def submission(agent, alice, studio) -> Submission:
    """A submission whose earlier checks have passed, waiting for its rehearsal."""
    from marketplace.publishing.checks import REGISTRY
    from marketplace.publishing.verdicts import record_check

    version = agent.live_version
    Version.objects.filter(pk=version.pk).update(status=Version.Status.CANDIDATE)
    version.refresh_from_db()
    found = Submission.objects.create(
        organization=studio, submitted_by=alice, filename="gift-finder.zip",
        bundle_sha256="b" * 64, size=1, version=version, status=Submission.Status.REHEARSING,
    )  # fmt: skip
    for name in REGISTRY:
        if name not in ("answers_request", "recommends_real_variants"):
            record_check(submission_id=found.pk, name=name, passed=True, detail="As it should be.")
    return found


@pytest.fixture
def rehearsing(play_warm, submission):
    """A warm sandbox of the submitted version, in which an agent's program of the test listens."""
    return lambda answer: play_warm(submission.version, answer)


def results(submission: Submission) -> dict[str, tuple[bool, str]]:
    submission.refresh_from_db()
    names = ("answers_request", "recommends_real_variants")
    return {c.name: (c.passed, c.detail) for c in submission.checks.filter(name__in=names)}


def test_an_honest_agent_passes_unbilled(submission, rehearsing, mug, budget):
    def answer(body, tools):
        assert "under $50" in body["prompt"]
        tools.call("recommend", variant_id=f"var_{mug.variant_id}", reason="A fine gift.")
        yield "How about a mug?"

    rehearsing(answer)
    rehearse(submission_id=submission.pk)
    found = results(submission)
    assert found["answers_request"] == (True, "It answered: “How about a mug?”")
    assert found["recommends_real_variants"] == (True, "1 of 1 recommendations hold.")
    assert submission.status == Submission.Status.IN_REVIEW
    assert not UsageEvent.objects.exists()
    assert Conversation.objects.get().status == "closed"
    assert Sandbox.objects.get().status == "stopped"
    rehearse(submission_id=submission.pk)
    assert Conversation.objects.count() == 1


def test_a_liar_fails_and_is_told_why(submission, rehearsing, mug, lamp):
    def answer(body, tools):
        for claimed in ("var_404404", f"var_{lamp.variant_id}", f"var_{mug.variant_id}"):
            tools.call("recommend", variant_id=claimed, reason="Only $1!")
        yield "Three bargains."

    rehearsing(answer)
    rehearse(submission_id=submission.pk)
    passed, detail = results(submission)["recommends_real_variants"]
    assert not passed
    assert "1 of 3 recommendations hold." in detail
    assert "var_404404 does not exist in the catalogue." in detail
    assert f"var_{lamp.variant_id} costs more than the limit that the request stated." in detail
    assert submission.status == Submission.Status.FAILED


def test_what_no_agent_is_told_of_the_shopper_is_not_held_against_it(submission, rehearsing, mug, merchant):
    brandy = sell(merchant, "Pear brandy", "19.00", min_age=18)

    def answer(body, tools):
        for claimed in (brandy, mug):
            tools.call("recommend", variant_id=f"var_{claimed.variant_id}", reason="A fine gift.")
        yield "Two gifts."

    rehearsing(answer)
    rehearse(submission_id=submission.pk)
    passed, detail = results(submission)["recommends_real_variants"]
    assert passed
    assert detail == f"1 of 2 recommendations hold. var_{brandy.variant_id} has an age limit."


def test_silence_fails(submission, rehearsing):
    rehearsing(lambda body, tools: [])
    rehearse(submission_id=submission.pk)
    found = results(submission)
    assert found["answers_request"] == (
        False,
        "It did not answer. It said nothing and showed nothing. Answer with text, or recommend something.",
    )
    assert not found["recommends_real_variants"][0]


def test_the_platforms_failure_says_nothing_of_the_agent(submission, run_dir, settings):
    # No host is there.
    settings.SANDBOX_WAIT_SECONDS = 0
    with pytest.raises(RehearsalUndecided):
        rehearse(submission_id=submission.pk)
    assert results(submission) == {}
    assert submission.status == Submission.Status.REHEARSING


def test_the_request_fits_the_agents_field():
    assert "kitchen tools" in canned_request({"categories": ["home--kitchen-tools"]})
    assert "something from" not in canned_request({})
