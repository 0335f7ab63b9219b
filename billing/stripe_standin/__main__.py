"""`python -m billing.stripe_standin [--port 8420] [--state FILE] [--webhook-url URL]`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from billing.stripe_standin.app import Config, create_app
from billing.stripe_standin.store import Store


def main(argv: list[str] | None = None) -> int:
    """Serve until ended. Exits with 2 where real money could be near."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentstore.settings")
    from django.conf import settings

    if settings.LIVE or "live" in settings.STRIPE_API_KEY.split("_")[:2]:
        print("The stand-in for Stripe refuses to run in live mode or with a live key.", file=sys.stderr)
        return 2
    parser = argparse.ArgumentParser(prog="python -m billing.stripe_standin", description=__doc__)
    parser.add_argument("--port", type=int, default=urlsplit(settings.STRIPE_API_BASE).port or 8420)
    parser.add_argument("--state", type=Path, default=settings.DATA_DIR / "stripe_standin.sqlite3")
    parser.add_argument("--webhook-url", default=f"{settings.SITE_URL}/webhooks/stripe/")
    chosen = parser.parse_args(argv)
    chosen.state.parent.mkdir(parents=True, exist_ok=True)
    config = Config(webhook_url=chosen.webhook_url, webhook_secret=settings.STRIPE_WEBHOOK_SECRET)
    uvicorn.run(
        create_app(Store(chosen.state), config), host="127.0.0.1", port=chosen.port, log_level="warning"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
