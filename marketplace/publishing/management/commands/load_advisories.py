"""`manage.py load_advisories`: the database that images' packages are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from agentstore.kit.errors import StoreError


class Command(BaseCommand):
    """Replaces all advisories by those of a directory or zip of OSV files; all or nothing."""

    help = "Load known vulnerabilities (OSV's JSON format) from a directory or zip file."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        parser.add_argument("source", nargs="?", help="directory or zip; SANDBOX_ADVISORIES when left out")

    def handle(self, *args: Any, **options: Any) -> None:
        from marketplace.publishing.advisories import load_advisories

        source = options["source"] or settings.SANDBOX_ADVISORIES
        if not source:
            raise CommandError("Name a directory or zip of OSV files, or set SANDBOX_ADVISORIES.")
        try:
            count = load_advisories(source=Path(source))
        except (StoreError, OSError) as failed:
            raise CommandError(str(failed)) from failed
        self.stdout.write(f"{count} advisories loaded")
