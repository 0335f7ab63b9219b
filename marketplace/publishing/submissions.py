"""The life of a submission while the platform works on it: received, taken up, moved on, resumed."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import IO, Any

from django.db import IntegrityError, transaction
from django.db.models import F

from agentstore.identity.access import organization_for
from agentstore.identity.models import Organization
from agentstore.kit.clock import now
from marketplace.publishing import dispatch
from marketplace.publishing.bundles import store_bundle
from marketplace.publishing.models import Submission
from marketplace.publishing.transitions import change_status, record_change

# How long a worker may take for a step before another one may take it up, in seconds.
LEASE_SECONDS = {"received": 60, "building": 240, "checking": 120, "rehearsing": 300}
_LONGEST_WAIT_SECONDS = 900


def receive_bundle(
    *, organization: Organization, by: Any, file: IO[bytes], filename: str, notes: str = ""
) -> Submission:
    """Keep what a developer uploaded and start working on it.

    The same bytes sent again while they are being worked on give the same submission. Raises NotFound unless
    `by` is a member of the studio, BundleRefused when it is too large or empty.
    """
    organization_for(by, organization.slug, kind=Organization.Kind.DEVELOPER)
    stored = store_bundle(file)
    try:
        with transaction.atomic():
            submission = Submission.objects.create(
                organization=organization,
                submitted_by=by,
                filename=filename.replace("\\", "/").rsplit("/", 1)[-1][-200:] or "bundle",
                bundle_sha256=stored.sha256,
                size=stored.size,
                notes=notes.strip(),
            )
            record_change(submission, before="", by=by, reason="Uploaded")
            dispatch.enqueue_step(submission.pk, submission.status)
    except IntegrityError:
        # It may have closed since; then the latest is the one that was meant all the same.
        return Submission.objects.filter(organization=organization, bundle_sha256=stored.sha256).latest(
            "created_at"
        )
    return submission


@transaction.atomic
def take(*, submission_id: uuid.UUID | str, status: str) -> Submission | None:
    """The submission, leased to the caller for one step; None when there is nothing to do for it.

    That is so when the step was done already, or when another worker has it and its lease has not run out.
    """
    submission = Submission.objects.select_for_update(of=("self",)).filter(pk=submission_id).first()
    if submission is None or submission.status != status or submission.due_at > now():
        return None
    submission.attempts += 1
    submission.due_at = now() + timedelta(seconds=LEASE_SECONDS[status])
    submission.save(update_fields=["attempts", "due_at"])
    return submission


@transaction.atomic
def advance(*, submission_id: uuid.UUID | str, from_: str, to: str) -> bool:
    """Move it to its next step; False when somebody else did, or it is closed."""
    submission = Submission.objects.select_for_update(of=("self",)).get(pk=submission_id)
    if submission.status != from_:
        return False
    change_status(submission, to=to, by=None)
    submission.attempts, submission.trouble, submission.due_at = 0, "", now()
    if to == Submission.Status.REHEARSING:
        # The rehearsal takes no lease here: it is asked for again only if it has not concluded by then.
        submission.due_at += timedelta(seconds=LEASE_SECONDS[to])
    submission.save(update_fields=["attempts", "trouble", "due_at"])
    dispatch.enqueue_step(submission.pk, to)
    return True


@transaction.atomic
def report_trouble(*, submission_id: uuid.UUID | str, message: str) -> None:
    """Something of ours failed: say so on the verdict page and try the step again, later each time."""
    submission = Submission.objects.select_for_update(of=("self",)).get(pk=submission_id)
    if not submission.is_open:
        return
    wait = min(10 * 2 ** min(max(submission.attempts - 1, 0), 10), _LONGEST_WAIT_SECONDS)
    submission.trouble = message
    submission.due_at = now() + timedelta(seconds=wait)
    submission.save(update_fields=["trouble", "due_at"])


def resume_submissions() -> int:
    """Ask again for the step of every submission whose work is due; the number of them.

    Due are those whose worker was lost, whose message was lost, and those that wait after trouble of ours.
    Asking too often is harmless: `take` gives a step to one worker at a time.
    """
    due = Submission.objects.filter(status__in=Submission.OPEN, due_at__lte=now())
    found = list(due.values_list("pk", "status"))
    for pk, status in found:
        if status == Submission.Status.REHEARSING:
            later = now() + timedelta(seconds=LEASE_SECONDS[status])
            Submission.objects.filter(pk=pk, status=status).update(due_at=later, attempts=F("attempts") + 1)
        dispatch.enqueue_step(pk, status)
    return len(found)
