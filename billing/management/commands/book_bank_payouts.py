"""`manage.py book_bank_payouts --since D`: book the store's own payouts whose events never came."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agentstore.kit.errors import StoreError
from billing import bank_payouts
from billing.periods import start_of


class Command(BaseCommand):
    """Twice is once."""

    help = "Book the store's payouts to its own bank as the processor lists them."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options."""
        parser.add_argument("--since", type=date.fromisoformat, required=True, help="a day, in UTC")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints how many there are."""
        try:
            found = bank_payouts.book_since(start_of(options["since"]))
        except StoreError as refused:
            raise CommandError(f"{refused.message} {refused.hint}".strip()) from refused
        self.stdout.write(f"{found} payouts are in the books.")
