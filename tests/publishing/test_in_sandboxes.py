"""From upload to rehearsal with a real engine: built, inspected, started, asked for its health."""

from __future__ import annotations

import pytest
from celery import shared_task

from agentstore.celery import app
from marketplace.publishing import pipeline, verdicts
from marketplace.publishing.checks import REGISTRY
from marketplace.publishing.models import Submission, Version
from sandbox.models import Host, Sandbox
from tests.bundles import pack_agent, source_bundle
from tests.sandbox.drivers import on_one_driver

pytestmark = [pytest.mark.containers, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def own_data():
    """None: the relay's kit is the whole run's, as in tests/sandbox. To make it anew takes 10 s a test."""


@shared_task(name="tests.publishing.rehearse")
def rehearse(submission_id: str) -> None:
    """The higher room's part, done at once: both results and the conclusion."""
    for name in ("answers_request", "recommends_real_variants"):
        verdicts.record_check(submission_id=submission_id, name=name, passed=True, detail="Rehearsed.")
    verdicts.conclude(submission_id=submission_id)


@pytest.fixture
def engine(own_stack, settings):

    app.loader.import_default_modules()
    settings.REHEARSAL_TASK = rehearse.name
    # Isolation is the sandbox room's to prove; here an agent only has to start.
    settings.SANDBOX_UNTRUSTED_RUNTIME = "runc"


def test_the_concierge_goes_from_upload_to_review(engine, submit):
    submission = submit(pack_agent("concierge"), filename="concierge.zip")
    submission.refresh_from_db()
    told = {check.name: (check.passed, check.detail) for check in submission.checks.all()}
    assert submission.status == Submission.Status.IN_REVIEW, (told, submission.trouble)
    assert set(told) == set(REGISTRY)
    assert all(passed for passed, _ in told.values())
    version = Version.objects.get()
    assert version.image_id.startswith("sha256:")
    assert not Sandbox.objects.live().exists(), "the sandbox of the checks is gone"
    path = [change.to_status for change in submission.status_changes.all()]
    assert path == ["received", "building", "checking", "rehearsing", "in_review"]


@on_one_driver
@pytest.mark.parametrize(
    ("main", "check", "words"),
    [
        ("import sys; print('no such module'); sys.exit(3)", "starts_in_time", "no such module"),
        ("import time; time.sleep(60)", None, ""),
    ],
    ids=["ends at once", "never listens"],
)
def test_an_agent_that_does_not_start_fails_with_the_end_of_its_log(engine, main, check, words, submit):
    submission = submit(source_bundle(main=main, start_seconds="2"))
    submission.refresh_from_db()
    assert submission.status == Submission.Status.FAILED, submission.trouble
    failed = submission.checks.get(passed=False)
    assert failed.name in ({check} if check else {"starts_in_time", "answers_ping"})
    assert words in str(failed.evidence.get("log"))


@on_one_driver
def test_building_and_checking_twice_gives_the_same_once(engine, submit, settings):
    settings.CELERY_TASK_ALWAYS_EAGER = True
    submission = submit(pack_agent("concierge"))
    before = [(check.name, check.passed) for check in submission.checks.all()]
    image = Version.objects.get().image_id
    for step in (pipeline.unpack_submission, pipeline.build_submission, pipeline.check_submission):
        step(submission_id=submission.pk)
    assert [(check.name, check.passed) for check in submission.checks.all()] == before
    assert Version.objects.get().image_id == image
    assert submission.status_changes.count() == 5


@on_one_driver
def test_a_full_house_is_our_fault_and_waits(engine, submit, settings):
    settings.SANDBOX_MAX, settings.CHECK_PLACE_SECONDS = 0, 0
    Host.objects.update(places=0)
    submission = submit(source_bundle(start_seconds="1"))
    submission.refresh_from_db()
    assert submission.status == Submission.Status.CHECKING
    assert "places are taken" in submission.trouble
    assert not submission.checks.filter(passed=False).exists()
