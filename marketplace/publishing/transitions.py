"""Status changes of agents, versions and submissions: the new status and its row, together."""

from __future__ import annotations

from typing import Any

from marketplace.publishing.models import Agent, StatusChange, Submission, Version


def change_status(subject: Agent | Version | Submission, *, to: str, by: Any, reason: str = "") -> bool:
    """Set the status, save it and write down who, when and why; False when it had that status already.

    The caller holds the row's lock and a transaction. `by` is a User, or None for the platform itself.
    """
    if subject.status == to:
        return False
    before, subject.status = subject.status, to
    subject.save(update_fields=["status"])
    record_change(subject, before=before, by=by, reason=reason)
    return True


def record_change(subject: Agent | Version | Submission, *, before: str, by: Any, reason: str = "") -> None:
    """The row for a status that was already saved, such as a new object's first."""
    StatusChange.objects.create(
        **{type(subject).__name__.lower(): subject},
        from_status=before,
        to_status=subject.status,
        by=by,
        reason=reason,
    )
