"""The only writer of a sandbox's status: every change is conditional on what it was, and leaves a row."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

import structlog
from django.db import transaction

from agentstore.kit.clock import now
from sandbox import metrics
from sandbox.models import Sandbox, SandboxStatusChange

log = structlog.get_logger(__name__)


@transaction.atomic
def change_status(
    *, sandbox_id: uuid.UUID, to: str, from_: Collection[str], by: str, reason: str = "", **fields: Any
) -> bool:
    """Move a sandbox on if it is in one of the statuses `from_`; False, and nothing written, if it is not."""
    row = Sandbox.objects.select_for_update().filter(pk=sandbox_id, status__in=from_).first()
    if row is None:
        return False
    record_change(row, to=to, by=by, reason=reason, **fields)
    return True


def record_change(row: Sandbox, *, to: str, by: str, reason: str = "", **fields: Any) -> None:
    """Write the change to a row that the caller has locked."""
    before = row.status
    row.status = to
    if to in (Sandbox.Status.STOPPED, Sandbox.Status.FAILED):
        fields.setdefault("ended_at", now())
        fields.setdefault("reason", reason[:500])
    for name, value in fields.items():
        setattr(row, name, value)
    row.save(update_fields=["status", *fields])
    if to == Sandbox.Status.FAILED:
        metrics.count("failures", fault=row.fault, code=row.failure_code, host=row.host)
    note_change(row, before=before, by=by, reason=reason)


def note_change(row: Sandbox, *, before: str, by: str, reason: str = "") -> None:
    """The row and the log line of a change that has just been written."""
    SandboxStatusChange.objects.create(
        sandbox=row, from_status=before, to_status=row.status, by=by, reason=reason[:500]
    )
    log.info(
        "sandbox.status", sandbox=str(row.pk), tenant=row.tenant, before=before, after=row.status, by=by,
        reason=reason, host=row.host, fault=row.fault or None, code=row.failure_code or None,
    )  # fmt: skip
