"""Receiving, leases, and what happens when work stops anywhere."""

from __future__ import annotations

import io
import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import connection

from agentstore.kit.clock import now
from agentstore.kit.errors import NotFound
from marketplace.publishing import pipeline, submissions
from marketplace.publishing.bundles import bundle_path
from marketplace.publishing.errors import BundleRefused
from marketplace.publishing.models import Agent, Submission, Version
from tests.bundles import source_bundle, zip_of

Status = Submission.Status


def test_a_bundle_is_kept_by_its_content_and_work_is_enqueued(submit, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        submission = submit(source_bundle(), filename="C:\\fakepath\\scout.zip")
    assert (submission.status, submission.filename) == (Status.RECEIVED, "scout.zip")
    assert bundle_path(submission.bundle_sha256).read_bytes() == source_bundle()
    assert len(callbacks) == 1
    assert submission.status_changes.get().by == submission.submitted_by


def test_charlie_submits_nothing_for_a_studio_that_is_not_his(studio, charlie):
    with pytest.raises(NotFound):
        submissions.receive_bundle(
            organization=studio, by=charlie, file=io.BytesIO(source_bundle()), filename="x.zip"
        )
    assert not Submission.objects.exists()


def test_the_same_bytes_sent_twice_are_one_open_submission(submit):
    assert submit(source_bundle()).pk == submit(source_bundle()).pk


@pytest.mark.parametrize(("content", "code"), [(b"", "empty_bundle"), (b"x" * 2000, "too_large")])
def test_too_large_or_empty_is_refused_and_nothing_is_kept(content, code, submit, settings, tmp_path):
    settings.BUNDLE_MAX_BYTES = 1000
    with pytest.raises(BundleRefused) as refused:
        submit(content)
    assert refused.value.code == code
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_unpacking_makes_the_agent_and_its_candidate_once(submit):
    submission = submit(source_bundle(), notes="First.")
    for _ in range(2):
        pipeline.unpack_submission(submission_id=submission.pk)
    submission.refresh_from_db()
    assert submission.status == Status.BUILDING
    version = Version.objects.get()
    assert (version.semver, version.status, version.notes) == ("1.0.0", "candidate", "First.")
    assert Agent.objects.get().status == Agent.Status.DRAFT
    assert {check.name: check.passed for check in submission.checks.all()} == {
        "archive_safe": True, "manifest_valid": True, "no_secrets": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "check", "words"),
    [
        (b"no archive at all", "archive_safe", "neither a zip"),
        (zip_of({"main.py": "x"}), "archive_safe", "no agent.toml"),
        (zip_of({"manifest.json": "[]", "oci-layout": "{}"}), "archive_safe", "bare image"),
        (source_bundle(version='"one"'), "manifest_valid", "1 problem"),
        (source_bundle(main="KEY = '-----BEGIN RSA PRIVATE KEY-----'"), "no_secrets", "credentials"),
    ],
)
def test_a_failed_check_fails_the_submission_in_words(content, check, words, submit):
    submission = submit(content)
    pipeline.unpack_submission(submission_id=submission.pk)
    submission.refresh_from_db()
    failed = submission.checks.get(passed=False)
    assert (submission.status, failed.name) == (Status.FAILED, check)
    assert words in failed.detail
    assert not submission.verdict.passed
    assert submission.status_changes.last().to_status == "failed"


def test_a_found_secret_is_not_repeated(submit):
    secret = "ghp_" + "a1B2" * 9
    submission = submit(source_bundle(main=f"TOKEN = '{secret}'"))
    pipeline.unpack_submission(submission_id=submission.pk)
    check = submission.checks.get(name="no_secrets")
    assert "main.py, line 1" in str(check.evidence)
    assert secret not in str(check.evidence) + check.detail


def test_another_studios_slug_is_taken(submit, live_agent, alice, charlie):
    from agentstore.identity.services import create_organization

    other = create_organization(kind="developer", name="Copycats", owner=charlie)
    submission = submissions.receive_bundle(
        organization=other, by=charlie, file=io.BytesIO(source_bundle(version='"9.0.0"')), filename="x.zip"
    )
    pipeline.unpack_submission(submission_id=submission.pk)
    check = submission.checks.get(name="manifest_valid")
    assert not check.passed
    assert "taken by another studio" in str(check.evidence["log"])


@pytest.mark.parametrize(("number", "words"), [("1.0.0", "not above 1.0.0"), ("0.9.0", "not above 1.0.0")])
def test_versions_only_go_up(number, words, submit, live_agent):
    submission = submit(source_bundle(version=f'"{number}"', tagline='"New words."'))
    pipeline.unpack_submission(submission_id=submission.pk)
    assert words in str(submission.checks.get(name="manifest_valid").evidence["log"])


def test_a_failed_build_gives_its_number_back(submit):
    first = submit(source_bundle())
    pipeline.unpack_submission(submission_id=first.pk)
    from marketplace.publishing import verdicts

    verdicts.record_check(submission_id=first.pk, name="image_inspected", passed=False, detail="No.")
    verdicts.conclude(submission_id=first.pk)
    second = submit(source_bundle(main="print('repaired')"))
    pipeline.unpack_submission(submission_id=second.pk)
    second.refresh_from_db()
    assert second.status == Status.BUILDING
    assert [v.status for v in Version.objects.order_by("created_at")] == ["failed", "candidate"]


def test_a_step_belongs_to_one_worker_until_its_lease_runs_out(submit):
    submission = submit(source_bundle())
    assert submissions.take(submission_id=submission.pk, status="received") is not None
    assert submissions.take(submission_id=submission.pk, status="received") is None
    # The first worker was killed: nothing moves until the lease is over, then everything goes on as if anew.
    pipeline.unpack_submission(submission_id=submission.pk)
    assert not submission.checks.exists()
    with time_machine.travel(now() + timedelta(seconds=submissions.LEASE_SECONDS["received"] + 1)):
        assert submissions.resume_submissions() == 1
        pipeline.unpack_submission(submission_id=submission.pk)
    submission.refresh_from_db()
    assert (submission.status, submission.attempts) == (Status.BUILDING, 0)


def test_a_worker_killed_before_its_last_write_leaves_the_same_result(submit, monkeypatch):
    submission = submit(source_bundle())

    class Killed(BaseException):
        pass

    def die(**_):
        raise Killed

    monkeypatch.setattr(submissions, "advance", die)
    with pytest.raises(Killed):
        pipeline.unpack_submission(submission_id=submission.pk)
    monkeypatch.undo()
    submission.refresh_from_db()
    assert (submission.status, submission.checks.count()) == (Status.RECEIVED, 3)
    with time_machine.travel(now() + timedelta(seconds=120)):
        pipeline.unpack_submission(submission_id=submission.pk)
    submission.refresh_from_db()
    assert (submission.status, submission.checks.count(), Version.objects.count()) == (Status.BUILDING, 3, 1)


def test_our_own_fault_is_told_and_tried_again_never_blamed(submit):
    submission = submit(source_bundle())
    bundle_path(submission.bundle_sha256).unlink()
    pipeline.unpack_submission(submission_id=submission.pk)
    submission.refresh_from_db()
    assert (submission.status, submission.checks.count()) == (Status.RECEIVED, 0)
    assert submission.trouble
    assert submission.due_at > now()
    waits = []
    for _ in range(4):
        with time_machine.travel(submission.due_at + timedelta(seconds=1), tick=False):
            pipeline.unpack_submission(submission_id=submission.pk)
            submission.refresh_from_db()
            waits.append((submission.due_at - now()).total_seconds())
    assert waits == sorted(waits)
    assert waits[-1] > waits[0]


def test_resuming_leaves_closed_and_leased_ones_alone(submit, reviewable):
    reviewable()
    leased = submit(source_bundle(slug='"another-scout"'))
    submissions.take(submission_id=leased.pk, status="received")
    assert submissions.resume_submissions() == 0


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_the_same_moment_do_the_step_once(submit):
    submission = submit(source_bundle())
    taken, gate = [], threading.Barrier(4)

    def work() -> None:
        gate.wait()
        taken.append(submissions.take(submission_id=submission.pk, status="received"))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(found is not None for found in taken) == 1
