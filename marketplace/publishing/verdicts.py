"""Results of checks and the verdict over all of them.

The checks of the bundle and its sandbox are recorded by this room, those of the rehearsal by the room that
holds conversations. All writes take the submission's row lock, and none changes a submission that is no
longer open, so a step may run twice.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from agentstore.kit.clock import now
from marketplace.publishing import dispatch
from marketplace.publishing.checks import REGISTRY, kind_of
from marketplace.publishing.errors import ChecksOutstanding
from marketplace.publishing.models import Check, Notice, ReviewItem, Submission, Verdict, Version
from marketplace.publishing.transitions import change_status


@transaction.atomic
def record_check(
    *,
    submission_id: uuid.UUID | str,
    name: str,
    passed: bool,
    detail: str,
    evidence: dict[str, Any] | None = None,
    duration_ms: int | None = None,
) -> Check:
    """Write one named result, in place of an earlier one of the same name.

    `evidence` may hold `log` (a list of lines) and anything else that is worth keeping. Raises UnknownCheck.
    A closed submission keeps the result that it was judged by.
    """
    kind_of(name)
    submission = Submission.objects.select_for_update().get(pk=submission_id)
    found = submission.checks.filter(name=name).first()
    if found is not None and not submission.is_open:
        return found
    check, _ = Check.objects.update_or_create(
        submission=submission,
        name=name,
        defaults={
            "passed": passed,
            "detail": detail,
            "evidence": evidence or {},
            "duration_ms": duration_ms,
            "at": now(),
        },
    )
    return check


@transaction.atomic
def conclude(*, submission_id: uuid.UUID | str) -> Verdict:
    """The verdict: passed when every registered check passed, failed as soon as one did not.

    A passed one enters the operators' queue, a failed one frees its version number; the developer gets a
    mail. Safe to repeat: the first verdict stands. Raises ChecksOutstanding while results are missing and
    none failed.
    """
    submission = Submission.objects.select_for_update(of=("self",)).get(pk=submission_id)
    if given := Verdict.objects.filter(submission=submission).first():
        return given
    results = {check.name: check for check in submission.checks.all()}
    failed = [kind for name, kind in REGISTRY.items() if name in results and not results[name].passed]
    missing = [kind.title for name, kind in REGISTRY.items() if name not in results]
    if missing and not failed:
        raise ChecksOutstanding(f"There is no result yet for: {', '.join(missing)}.")
    if failed:
        summary = f"Failed: {', '.join(kind.title.lower() for kind in failed)}."
        verdict = Verdict.objects.create(submission=submission, passed=False, summary=summary)
        change_status(submission, to=Submission.Status.FAILED, by=None, reason=summary)
        if submission.version_id:
            version = Version.objects.select_for_update().get(pk=submission.version_id)
            change_status(version, to=Version.Status.FAILED, by=None, reason=summary)
    else:
        summary = f"All {len(REGISTRY)} checks passed."
        verdict = Verdict.objects.create(submission=submission, passed=True, summary=summary)
        change_status(submission, to=Submission.Status.IN_REVIEW, by=None, reason=summary)
        _open_review(submission)
    Submission.objects.filter(pk=submission.pk).update(trouble="")
    dispatch.enqueue_notice(submission.pk, Notice.Kind.VERDICT)
    return verdict


def _open_review(submission: Submission) -> None:
    version = submission.version
    first = version is None or version.agent.live_version_id is None
    ReviewItem.objects.create(
        submission=submission,
        reason="First version of a new agent" if first else "New version of a live agent",
        due_at=now() + timedelta(hours=settings.REVIEW_DUE_HOURS),
    )
