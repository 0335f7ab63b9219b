"""Celery tasks: each takes an id, may run twice, and calls one service."""

from __future__ import annotations

from celery import shared_task

from marketplace.publishing import listings, notices, pipeline, retention, submissions


@shared_task
def unpack_submission(submission_id: str) -> None:
    """First step of a submission."""
    pipeline.unpack_submission(submission_id=submission_id)


@shared_task
def build_submission(submission_id: str) -> None:
    """Second step; runs on the `sandbox` queue, which may speak to the container engine."""
    pipeline.build_submission(submission_id=submission_id)


@shared_task
def check_submission(submission_id: str) -> None:
    """Third step; waits for a sandbox, so it must not run on the queue that starts them."""
    pipeline.check_submission(submission_id=submission_id)


@shared_task
def resume_submissions() -> None:
    """The beat's: take up what was left lying."""
    submissions.resume_submissions()


@shared_task(ignore_result=True, expires=60)
def renew_targets() -> None:
    """The beat's: what is kept warm follows the operator's ceilings."""
    listings.renew_targets()


@shared_task
def collect_images() -> None:
    """The beat's: remove images that nobody needs."""
    retention.collect_images()


@shared_task
def send_notice(submission_id: str, kind: str) -> None:
    """Mail the developer about a verdict or a decision."""
    notices.send_notice(submission_id=submission_id, kind=kind)
