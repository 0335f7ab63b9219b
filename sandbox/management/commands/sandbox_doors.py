"""`manage.py sandbox_doors`: the door server of this host."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Lets the store's other hosts reach the claimed sandboxes of this one; runs until it is told to end."""

    help = "Serve the doors of this host's sandboxes to the store's other hosts (SANDBOX_DOOR_ADDRESS)."

    def handle(self, *args: Any, **options: Any) -> None:
        address = settings.SANDBOX_DOOR_BIND or settings.SANDBOX_DOOR_ADDRESS
        if not address:
            raise CommandError(
                "Set SANDBOX_DOOR_ADDRESS to the host:port at which the others reach this host."
            )
        try:
            asyncio.run(self._serve(address))
        except OSError as failed:
            raise CommandError(f"Nothing can listen at {address}: {failed}") from failed

    async def _serve(self, address: str) -> None:
        from sandbox.remote.server import DoorServer

        server, ended = DoorServer(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        port = await server.start(address)
        self.stdout.write(f"doors are served on port {port}")
        await ended.wait()
        await server.close()
