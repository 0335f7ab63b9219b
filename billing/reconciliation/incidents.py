"""Incidents: opened by what a run finds, added to, closed when it is gone; resolved by hand with a reason."""

from __future__ import annotations

import uuid
from datetime import date

from django.db import transaction
from django.urls import reverse

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, Invalid
from billing.models import Incident, IncidentChange, IncidentLine, Reconciliation, ReconciliationChange
from billing.models.ledger import PLATFORM
from billing.notices import tell
from billing.reconciliation.findings import MOST_LINES, Findings
from billing.reconciliation.words import PROBLEMS

Status = Incident.Status


class AlreadyResolved(Conflict):
    """Somebody, or a later run, has resolved it."""

    code = "already_resolved"


@transaction.atomic
def record_findings(*, kind: str, day: date, findings: Findings, by: str) -> Incident | None:
    """Bring a day's incident of a kind in line with what a run found; None where there is none.

    Twice is once. What is gone is closed, and with its last line the incident; what is new opens it, again where
    it was resolved. Of more than MOST_LINES, a line that others made room for is new only where there are more than
    before. Each opening is told to the operators once.
    """
    incident = Incident.objects.select_for_update().filter(kind=kind, day=day).first()
    if incident is None:
        if not findings.lines:
            return None
        incident = Incident.objects.create(kind=kind, day=day, title=_title(findings))
        _move(incident, Status.OPEN, by=by, reason=_title(findings))
    fresh = _bring_in_line(incident, findings)
    if not findings.lines:
        if incident.status == Status.OPEN:
            _move(incident, Status.RESOLVED, by=by, reason="a later run found nothing of it")
        return incident
    if incident.title != _title(findings):
        incident.title = _title(findings)
        incident.save(update_fields=["title"])
    if fresh and incident.status == Status.RESOLVED:
        _move(incident, Status.OPEN, by=by, reason=_title(findings))
    return incident


def _title(findings: Findings) -> str:
    if not findings.lines:
        return "Nothing"
    first = PROBLEMS[findings.lines[0].problem]
    more = findings.different - 1
    return f"{first}: {findings.lines[0].reference}"[:170] + (f" and {more} more" if more else "")


def _bring_in_line(incident: Incident, findings: Findings) -> bool:
    """Whether anything is new: another line, one that was gone, or another amount."""
    rows = {(it.problem, it.reference, it.currency): it for it in incident.lines.select_for_update()}
    room = MOST_LINES - sum(map(findings.has, rows))
    at = now()
    new: list[IncidentLine] = []
    changed: list[IncidentLine] = []
    for line in findings.lines:
        row = rows.pop(line.key, None)
        if row is None:
            if len(new) >= room:
                continue
            row = IncidentLine(incident=incident, found_at=at)
            row.problem, row.reference, row.currency = line.key
            new.append(row)
        elif row.gone_at or (row.expected_micros, row.found_micros) != (line.expected, line.found):
            changed.append(row)
        else:
            continue
        row.detail, row.gone_at = line.detail[:300], None
        row.expected_micros, row.found_micros = line.expected, line.found
        row.journal_id, row.event_id = line.journal_id, line.event_id
        row.processor_ref = line.processor_ref
    IncidentLine.objects.bulk_create(new)
    IncidentLine.objects.bulk_update(
        changed,
        [
            *("detail", "gone_at", "expected_micros", "found_micros"),
            *("journal", "event", "processor_ref"),
        ],
    )
    # What is left was not kept by this run; some of it may have been found all the same.
    gone = [row.pk for key, row in rows.items() if not findings.has(key) and row.gone_at is None]
    back = [row.pk for key, row in rows.items() if findings.has(key) and row.gone_at]
    IncidentLine.objects.filter(pk__in=gone).update(gone_at=at)
    IncidentLine.objects.filter(pk__in=back).update(gone_at=None)
    return bool(changed or back or (new and not _made_room(incident, findings)))


def _made_room(incident: Incident, findings: Findings) -> bool:
    """Whether lines may be new to us only because others went: the run before kept not all of them either."""
    row = Reconciliation.objects.filter(day=incident.day).first()
    before = 0 if row is None else row.counts.get(incident.kind, {}).get("different", 0)
    return before > MOST_LINES and findings.different <= before


def _move(incident: Incident, to: str, *, by: str, reason: str) -> None:
    opened = to == Status.OPEN
    incident.status = to
    incident.resolved_at = None if opened else now()
    incident.resolved_by, incident.reason = ("", "") if opened else (by, reason[:200])
    incident.save(update_fields=["status", "resolved_at", "resolved_by", "reason"])
    change = IncidentChange.objects.create(incident=incident, status=to, by=by, reason=reason[:200])
    if opened:
        tell(
            key=f"incident:{incident.pk}:{change.pk}",
            owner_ref=PLATFORM,
            subject=f"{incident.get_kind_display()}: {incident.day:%-d %B %Y} does not agree",
            text=f"{reason}.",
            path=reverse("billing:incident", args=[incident.pk]),
        )


@transaction.atomic
def resolve_incident(*, incident_id: uuid.UUID, by: str, reason: str) -> Incident:
    """An operator knows why, and says so. It is opened again only by something new.

    Raises Invalid without a reason, AlreadyResolved, Incident.DoesNotExist.
    """
    if not reason.strip():
        raise Invalid("Say why it is resolved, for whoever audits this.")
    incident = Incident.objects.select_for_update().get(pk=incident_id)
    if incident.status != Status.OPEN:
        raise AlreadyResolved("This incident is resolved already.")
    _move(incident, Status.RESOLVED, by=by, reason=reason.strip())
    row = Reconciliation.objects.select_for_update().filter(day=incident.day).first()
    if row is not None and row.status == Reconciliation.Status.DIFFERENCES and not _open_on(incident.day):
        row.status = Reconciliation.Status.MATCHED
        row.save(update_fields=["status"])
        ReconciliationChange.objects.create(
            reconciliation=row, status=row.status, by=by, reason="its incidents are resolved"
        )
    return incident


def _open_on(day: date) -> bool:
    return Incident.objects.filter(day=day, status=Status.OPEN).exists()
