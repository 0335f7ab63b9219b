"""`manage.py rebuild_search_index`: the full-text index anew from PostgreSQL, swapped in when it is whole."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from marketplace.catalog.search.embedding import embed_waiting, forget_stale_vectors
from marketplace.catalog.search.indexing import rebuild_index


class Command(BaseCommand):
    """Searches go on with the old index meanwhile; changes wait in the outbox."""

    help = "Rebuild the search index from the database."

    def add_arguments(self, parser: CommandParser) -> None:
        """The command line."""
        parser.add_argument("--vectors", action="store_true", help="also embed all texts without a vector")

    def handle(self, *args: Any, **options: Any) -> None:
        """Rebuild, and say how far it is."""
        started = time.monotonic()
        size = rebuild_index(progress=lambda done: self._show(f"{done} products"))
        forgotten = forget_stale_vectors()
        self.stdout.write(f"{size} products indexed in {time.monotonic() - started:.1f} s")
        if forgotten:
            self.stdout.write(f"{forgotten} vectors of texts that are gone deleted")
        if options["vectors"]:
            done = 0
            while count := embed_waiting():
                done += count
                self._show(f"{done} texts embedded")
            self.stdout.write(f"{done} texts embedded in {time.monotonic() - started:.1f} s")

    def _show(self, text: str) -> None:
        if self.stdout.isatty():
            self.stdout.write(f"  {text}", ending="\r")
