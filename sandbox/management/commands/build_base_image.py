"""`manage.py build_base_image`: what a host needs once before it can run agents."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from agentstore.kit.errors import StoreError


class Command(BaseCommand):
    """Makes the relay kit and the base image; does nothing where both are there."""

    help = "Make the base image that source bundles are laid on, and the relay that every sandbox uses."

    def handle(self, *args: Any, **options: Any) -> None:
        from sandbox.engine.relay import build_relay_kit
        from sandbox.images.base import build_base

        started = time.monotonic()
        try:
            build_relay_kit()
            base = build_base()
        except StoreError as failed:
            raise CommandError(f"{failed.message} {failed.hint}".strip()) from failed
        seconds = time.monotonic() - started
        self.stdout.write(f"base image {base.image_id[7:19]}, {base.size / 1e6:.0f} MB, in {seconds:.1f} s")
