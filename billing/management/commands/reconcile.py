"""`manage.py reconcile [--day D]`: compare a day, or every day that is due, and say what does not agree."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agentstore.kit.errors import StoreError
from billing.models import Incident, IncidentLine, Reconciliation
from billing.reconciliation import runs
from billing.reconciliation.words import PROBLEMS


class Command(BaseCommand):
    """Ends with 1 when something does not agree, or the processor could not be read."""

    help = "Compare processor, ledger, events and conversations; ends with 1 when something does not agree."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options."""
        parser.add_argument(
            "--day", type=date.fromisoformat, help="one day, in UTC; without it, every day that is due"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints each day with its open incidents and their lines."""
        try:
            if options["day"] is not None:
                days = [runs.reconcile_day(day=options["day"], by="reconcile command")]
            else:
                runs.reconcile_due()
                days = list(
                    Reconciliation.objects.exclude(status=Reconciliation.Status.MATCHED).order_by("day")
                )
        except StoreError as refused:
            raise CommandError(f"{refused.message} {refused.hint}".strip()) from refused
        for row in days:
            self._say(row)
        wrong = [row for row in days if row.status != Reconciliation.Status.MATCHED or row.last_error]
        if wrong:
            raise CommandError(f"{len(wrong)} of the days do not agree, or could not be read.")
        self.stdout.write("Everything agrees.")

    def _say(self, row: Reconciliation) -> None:
        counted = f"{row.compared} compared, {row.in_flight} under way"
        self.stdout.write(f"{row}: {row.get_status_display().lower()}, {counted}. {row.last_error}".rstrip())
        lines = IncidentLine.objects.filter(
            incident__day=row.day, incident__status=Incident.Status.OPEN, gone_at=None
        )
        for line in lines.select_related("incident"):
            amounts = f" ({line.expected or '–'} / {line.found or '–'})" if line.currency else ""
            self.stdout.write(f"  {PROBLEMS[line.problem]}: {line.reference}{amounts}")
