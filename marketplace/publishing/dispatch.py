"""Hands work to tasks by name, on commit, so that services import no tasks.

A broker that is away loses nothing: the submission's status says what is to be done next and `due_at` when,
and `resume_submissions` finds it.
"""

from __future__ import annotations

import uuid

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

from marketplace.publishing.models import Submission

log = structlog.get_logger(__name__)
_TASKS = "marketplace.publishing.tasks."


def task_for(status: str) -> str | None:
    """The task that takes a submission of this status further, by name; None when nothing is left to do."""
    return {
        Submission.Status.RECEIVED: _TASKS + "unpack_submission",
        Submission.Status.BUILDING: _TASKS + "build_submission",
        Submission.Status.CHECKING: _TASKS + "check_submission",
        Submission.Status.REHEARSING: settings.REHEARSAL_TASK,
    }.get(Submission.Status(status))


def enqueue_step(submission_id: uuid.UUID, status: str) -> None:
    """After this transaction, take the submission further."""
    name = task_for(status)
    if name is not None:
        transaction.on_commit(lambda: _send(name, str(submission_id)))


def enqueue_notice(submission_id: uuid.UUID, kind: str) -> None:
    """After this transaction, mail the developer."""
    transaction.on_commit(lambda: _send(_TASKS + "send_notice", str(submission_id), str(kind)))


def _send(name: str, *args: str) -> None:
    # A task of a higher room may not be loaded in this process; its name is enough to send it.
    task = current_app.tasks.get(name)
    try:
        if task is not None:
            task.apply_async(args=args, retry=False)
        else:
            current_app.send_task(name, args=args, retry=False)
    except OperationalError:
        log.warning("publishing.broker_away", task=name)
