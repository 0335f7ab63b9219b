"""`manage.py seed_prices`: the first prices, so that a new store can bill."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from agentstore.kit.clock import now
from billing.models import PriceVersion
from billing.pricing import Terms, announce_prices, draft_prices

FIRST = "first prices"
TERMS = [
    Terms("ppcv", 150_000),
    Terms("ppcv", 250_000, "electronics"),
    Terms("ppcv", 200_000, "apparel"),
    Terms("ppcv", 80_000, "grocery"),
    Terms("agent_tax", 150_000),
    Terms("agent_tax", 80_000, "grocery"),
    Terms("developer_share", 700_000),
]


class Command(BaseCommand):
    """Puts the default prices in force where there are none; changes nothing otherwise."""

    help = "Put the default prices in force: PPCv $0.15, agent tax 15 %, developer share 70 %."

    def handle(self, *args: Any, **options: Any) -> None:
        """Idempotent."""
        if PriceVersion.objects.filter(currency=settings.STORE_CURRENCY).exists():
            self.stdout.write("Prices exist; nothing changed.")
            return
        version = draft_prices(name=FIRST, terms=TERMS, by="seed_prices")
        announce_prices(version_id=version.pk, effective_at=now(), by="seed_prices", reason="a new store")
        self.stdout.write(f"In force: {version}.")
