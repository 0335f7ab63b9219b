"""`manage.py stop_sandboxes`: for a shutdown. Nothing of this stack is left running on this host."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from agentstore.kit.errors import StoreError


class Command(BaseCommand):
    """Ends every sandbox of this stack and removes its container and directory; safe to repeat."""

    help = "End all sandboxes of this stack and remove what they left."

    def handle(self, *args: Any, **options: Any) -> None:
        from sandbox.drivers import present_drivers
        from sandbox.reaper import remove_everything

        try:
            removed = sum(
                remove_everything(driver=driver, by="stop_sandboxes") for driver in present_drivers()
            )
        except StoreError as away:
            self.stdout.write(f"nothing to stop: {away.message}")
            return
        self.stdout.write(f"{removed} sandboxes removed")
