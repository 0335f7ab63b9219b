"""`manage.py seed_catalog`: real goods of several merchants, through the importer that any feed takes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from agentstore.identity.models import User
from marketplace.catalog.seeding import journey, vendure
from marketplace.catalog.seeding.load import ensure_merchant, load_feed, load_photographs

_PHOTOGRAPHED: Final = "Harbour Goods"


class Command(BaseCommand):
    """Idempotent: what was loaded before is left alone, sold stock included."""

    help = "Load the seed catalogue: merchants, products, offers and photographs."

    def add_arguments(self, parser: CommandParser) -> None:
        """The command line."""
        parser.add_argument("--limit", type=int, default=None, help="at most so many items per merchant")
        parser.add_argument(
            "--photos",
            type=Path,
            default=None,
            help="where @vendure/create is or is to be",
        )
        parser.add_argument("--owner", default="merchant@example.com", help="e-mail of the merchants' owner")
        parser.add_argument("--skip-breadth", action="store_true", help="only the photographed products")

    def handle(self, *args: Any, **options: Any) -> None:
        """Load each merchant in turn; what cannot be had is skipped with a message."""
        owner = User.objects.filter(email=options["owner"].lower()).first()
        if owner is None:
            owner = User.objects.create_user(options["owner"], name="Mia Merchant")
        directory = options["photos"] or Path(settings.DATA_DIR) / "seed"
        try:
            data = vendure.obtain_sample_data(directory=directory)
        except vendure.PackageMissing as missing:
            self.stdout.write(self.style.WARNING(f"Skipped: {missing}."))
        else:
            self._load(_PHOTOGRAPHED, vendure.feed_rows(data), owner, options["limit"])
            merchant = ensure_merchant(name=_PHOTOGRAPHED, owner=owner)
            added = load_photographs(merchant=merchant, photographs=vendure.photographs(data))
            self.stdout.write(f"{_PHOTOGRAPHED}: {added} photographs added")
        if options["skip_breadth"]:
            return
        try:
            for name in journey.MERCHANTS:
                self._load(name, journey.feed_rows(merchant=name), owner, options["limit"])
        except journey.DataMissing as missing:
            self.stdout.write(self.style.WARNING(f"Skipped: {missing}."))

    def _load(self, name: str, rows: Any, owner: User, limit: int | None) -> None:
        started = time.monotonic()
        merchant = ensure_merchant(name=name, owner=owner)
        report = load_feed(merchant=merchant, rows=rows, by=owner, limit=limit)
        if report is None:
            self.stdout.write(f"{name}: loaded before, left as it is")
            return
        seconds = time.monotonic() - started
        self.stdout.write(
            f"{name}: {report.accepted} new, {report.changed} changed, {report.unchanged} unchanged,"
            f" {report.refused} refused in {seconds:.1f} s"
        )
