"""How the days stand, for pages. Reads only."""

from __future__ import annotations

from django.db.models import QuerySet

from billing.models import Incident, Reconciliation


def latest() -> Reconciliation | None:
    """The newest day that was looked at, reconciled or not; None before the first."""
    return Reconciliation.objects.order_by("-day").first()


def open_incidents() -> QuerySet[Incident]:
    """What waits for an operator, the newest day first."""
    return Incident.objects.filter(status=Incident.Status.OPEN).order_by("-day", "kind")
