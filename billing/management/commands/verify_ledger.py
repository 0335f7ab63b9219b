"""`manage.py verify_ledger`: recompute journals, roll-up and the chain of daily closes."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.closing import lines_of
from billing.models import DailyClose
from billing.verification import verify_books


class Command(BaseCommand):
    """Says what is wrong with the books and ends with 1, or that nothing is."""

    help = "Recompute journals, roll-up and the chain of daily closes; ends with 1 when anything is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options."""
        parser.add_argument("--head", default="", help="a digest noted before; it must be in the chain")
        parser.add_argument(
            "--lines", type=date.fromisoformat, metavar="DAY", help="print what this day's digest is of"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify, or print one day's lines, of which `sha256sum` makes its digest."""
        if options["lines"]:
            self._print_lines(options["lines"])
            return
        findings = verify_books(head=options["head"])
        for finding in findings:
            self.stderr.write(f"{finding.check}: {finding.text}")
        if findings:
            raise CommandError("The books are not what they were. Stop billing and compare with a backup.")
        head = DailyClose.objects.order_by("-day").first()
        chain = f"Closed until {head}, digest {head.hex}" if head else "No day is closed yet"
        self.stdout.write(f"The books are whole. {chain}.")

    def _print_lines(self, day: date) -> None:
        close = DailyClose.objects.select_related("previous").filter(pk=day).first()
        if close is None:
            raise CommandError(f"{day} is not closed.")
        for line in lines_of(close):
            self.stdout.write(line.decode(), ending="")
