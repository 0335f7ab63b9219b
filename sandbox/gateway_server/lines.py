"""One line: a sandbox's socket at the gateway, and the connections that came through it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import uuid
from pathlib import Path

from asgiref.typing import ASGI3Application
from django.conf import settings
from uvicorn import Config
from uvicorn.server import ServerState

from sandbox.gateway_server.bounds import Bounded, Pace
from sandbox.gateway_server.protocol import LineProtocol
from sandbox.places import GATEWAY_SOCKET_NAME

_BACKLOG = 64
_AGAIN_SECONDS = 0.2


class Line:
    """Listens in `directory` for one sandbox, or for nobody in particular (`sandbox_id` None).

    A connection is accepted only when the sandbox has fewer than GATEWAY_CONNECTIONS, at most
    GATEWAY_REQUESTS_PER_SECOND of them a second: the others wait in the kernel's queue, at no one's cost but
    the caller's. Raises OSError when the socket can't be made.
    """

    def __init__(
        self, *, directory: Path, sandbox_id: uuid.UUID | None, config: Config, state: ServerState
    ) -> None:
        self.sandbox_id = sandbox_id
        self.config = config
        self.state = state
        self.application: ASGI3Application = Bounded(config.loaded_app)
        self.connections = set[LineProtocol]()
        self.free = asyncio.Semaphore(settings.GATEWAY_CONNECTIONS)
        self._path = directory / GATEWAY_SOCKET_NAME
        self._socket = _listen(self._path, mode=0o600 if sandbox_id is None else 0o666)
        self._inode = _inode(self._path)
        rate = settings.GATEWAY_REQUESTS_PER_SECOND
        self._pace = Pace(per_second=rate, burst=rate)
        self.is_closed = False
        self._accepting = asyncio.ensure_future(self._accept())
        # Not before the loop has let go of it: the next socket may get its number.
        self._accepting.add_done_callback(lambda _: self._socket.close())

    def is_in_place(self) -> bool:
        """Whether what lies at the path is the socket that we listen on: a directory may be made anew."""
        return _inode(self._path) == self._inode

    def stop_listening(self) -> None:
        """Take no more connections; those there are go on."""
        if self.is_in_place():
            self._path.unlink(missing_ok=True)
        self._accepting.cancel()

    def close(self) -> None:
        """The sandbox is gone: so are its connections."""
        self.is_closed = True
        self.stop_listening()
        for connection in list(self.connections):
            connection.transport.abort()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self.free.acquire()
            await self._pace.turn()
            try:
                connection, _ = await loop.sock_accept(self._socket)
            except OSError:
                # No descriptor is free, say: it waits like the others.
                self.free.release()
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            try:
                await loop.connect_accepted_socket(lambda: LineProtocol(self), connection)
            except OSError:
                connection.close()
                self.free.release()


def _listen(path: Path, *, mode: int) -> socket.socket:
    """A socket that appears at its name only when it listens, in place of whatever a former process left."""
    made = path.with_name("new.sock")
    made.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(str(made))
        made.chmod(mode)
        listening.listen(_BACKLOG)
        listening.setblocking(False)
        made.rename(path)
    except OSError:
        listening.close()
        with contextlib.suppress(OSError):
            made.unlink(missing_ok=True)
        raise
    return listening


def _inode(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        found = os.lstat(path)
        return found.st_dev, found.st_ino
    return None
