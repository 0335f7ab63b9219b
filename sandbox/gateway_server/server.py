"""The server: a line for every sandbox that has a directory, from the moment it has one until it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import uuid
from pathlib import Path

import structlog
import uvicorn
from asgiref.typing import ASGI3Application
from watchfiles import awatch

from sandbox.gateway_server.lines import Line
from sandbox.gateway_server.protocol import HEADER_BYTES, LineProtocol

log = structlog.get_logger(__name__)
# A directory is noticed within the first, and within the second where the notice was lost.
_STEP_MS, _DEBOUNCE_MS, _RESCAN_MS = 20, 100, 2000


class GatewayServer(uvicorn.Server):
    """Serves `application` on `root/<sandbox hex>/gateway.sock` for every such directory.

    The directories are the sandbox worker's: none is made or removed here. `root/gateway.sock` is for the
    platform's own question whether the process answers; no sandbox has it, and no run token counts there.
    """

    def __init__(self, application: ASGI3Application, *, root: Path, grace_seconds: int = 3) -> None:
        super().__init__(
            uvicorn.Config(
                application, http=LineProtocol, ws="none", lifespan="off", interface="asgi3",
                # What a caller says of itself in a header is never taken for where it comes from.
                proxy_headers=False, server_header=False, access_log=False, log_config=None, log_level="error",
                h11_max_incomplete_event_size=HEADER_BYTES, timeout_graceful_shutdown=grace_seconds,
            )
        )  # fmt: skip
        self._root = root
        self._lines: dict[uuid.UUID | None, Line] = {}

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen for all that are there."""
        _allow_many_files()
        await self.lifespan.startup()
        self.servers = []
        self._root.mkdir(parents=True, exist_ok=True)
        # Only we pass; a sandbox comes in by a mount and does not need the path.
        self._root.chmod(0o700)
        self._match()
        self.started = True
        log.info("gateway.started", lines=len(self._lines))

    async def main_loop(self) -> None:
        """Until a signal ends it."""
        following = asyncio.create_task(self._follow())
        try:
            await super().main_loop()
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Nobody new is let in; what is being answered gets the grace period."""
        for line in self._lines.values():
            line.stop_listening()
        await super().shutdown(sockets)

    async def _follow(self) -> None:
        while True:
            try:
                async for _ in awatch(
                    self._root, watch_filter=None, recursive=False, step=_STEP_MS,
                    debounce=_DEBOUNCE_MS, rust_timeout=_RESCAN_MS, yield_on_timeout=True,
                ):  # fmt: skip
                    self._match()
            except (OSError, RuntimeError) as unwatched:
                # The host's watches are used up, say: looking often does as well.
                log.warning("gateway.not_watching", error=str(unwatched))
            await asyncio.sleep(_RESCAN_MS / 1000)
            self._match()

    def _match(self) -> None:
        """Bring lines and directories together."""
        there = _directories(self._root)
        for sandbox_id, line in list(self._lines.items()):
            if sandbox_id not in there or not line.is_in_place():
                line.close()
                del self._lines[sandbox_id]
        for sandbox_id in there.keys() - self._lines.keys():
            try:
                self._lines[sandbox_id] = Line(
                    directory=there[sandbox_id], sandbox_id=sandbox_id, config=self.config,
                    state=self.server_state,
                )  # fmt: skip
            except OSError as refused:
                # It may be gone by now; if not, the next look tries again.
                log.warning("gateway.no_line", sandbox=str(sandbox_id), error=str(refused))


def _directories(root: Path) -> dict[uuid.UUID | None, Path]:
    found: dict[uuid.UUID | None, Path] = {None: root}
    with contextlib.suppress(OSError):
        for entry in root.iterdir():
            with contextlib.suppress(ValueError):
                if len(entry.name) == 32 and entry.is_dir():
                    found[uuid.UUID(hex=entry.name)] = entry
    return found


def _allow_many_files() -> None:
    """As many descriptors as the system lets us have: each connection of each sandbox is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
