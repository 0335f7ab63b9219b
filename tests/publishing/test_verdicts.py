from __future__ import annotations

import pytest
from django.core import mail

from marketplace.publishing import pipeline, verdicts
from marketplace.publishing.checks import REGISTRY
from marketplace.publishing.errors import ChecksOutstanding, UnknownCheck
from marketplace.publishing.models import Notice, ReviewItem, Submission
from marketplace.publishing.notices import send_notice
from tests.bundles import source_bundle


@pytest.fixture
def unpacked(submit):
    submission = submit(source_bundle())
    pipeline.unpack_submission(submission_id=submission.pk)
    return submission


def record(submission, name, passed=True, detail="Fine."):
    return verdicts.record_check(submission_id=submission.pk, name=name, passed=passed, detail=detail)


def test_every_check_explains_itself():
    for kind in REGISTRY.values():
        assert kind.title
        assert len(kind.help) > 40
        assert kind.stage in Submission.OPEN


def test_an_unknown_check_is_refused(unpacked):
    with pytest.raises(UnknownCheck):
        record(unpacked, "smells_nice")


def test_no_verdict_while_results_are_missing(unpacked):
    with pytest.raises(ChecksOutstanding, match="Starts within its limit"):
        verdicts.conclude(submission_id=unpacked.pk)


def test_all_passed_opens_a_review_once(reviewable):
    submission = reviewable()
    first = verdicts.conclude(submission_id=submission.pk)
    assert first.passed
    assert verdicts.conclude(submission_id=submission.pk) == first
    assert submission.status == Submission.Status.IN_REVIEW
    assert ReviewItem.objects.get().reason == "First version of a new agent"
    assert submission.status_changes.filter(to_status="in_review").count() == 1


def test_one_failure_is_the_verdict_and_names_the_check(unpacked):
    record(unpacked, "starts_in_time", passed=False, detail="It ended at once.")
    verdict = verdicts.conclude(submission_id=unpacked.pk)
    assert not verdict.passed
    assert "starts within its limit" in verdict.summary
    unpacked.refresh_from_db()
    assert (unpacked.status, unpacked.version.status) == ("failed", "failed")


def test_a_result_is_replaced_while_open_and_kept_once_closed(unpacked):
    record(unpacked, "answers_ping", passed=False, detail="Silence.")
    record(unpacked, "answers_ping", passed=True)
    assert unpacked.checks.get(name="answers_ping").passed
    record(unpacked, "answers_ping", passed=False, detail="Silence.")
    verdicts.conclude(submission_id=unpacked.pk)
    assert not record(unpacked, "answers_ping", passed=True).passed


def test_the_mail_says_what_failed_and_goes_out_once(unpacked):
    record(unpacked, "starts_in_time", passed=False, detail="It ended at once.")
    verdicts.conclude(submission_id=unpacked.pk)
    assert [send_notice(submission_id=unpacked.pk, kind=Notice.Kind.VERDICT) for _ in range(2)] == [
        True,
        False,
    ]
    (sent,) = mail.outbox
    assert sent.to == ["alice@example.com"]
    assert "failed its checks" in sent.subject
    assert "Starts within its limit: It ended at once." in sent.body
    assert f"/submissions/{unpacked.pk}/" in sent.body
