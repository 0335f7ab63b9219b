"""The two per-sandbox directories: the agent's socket and its log, written by a program that we do not trust, and
the gateway's, which the sandbox can only read; and the door through which the platform speaks to an agent.

The first is a small tmpfs of its own, so that nothing in it can fill the host's disk: mounted here as root;
otherwise by the sandbox's keeper in a namespace of its own, and then a link of ours leads to it. What lies in it
is opened without following links and looked at before it is used: the agent can put anything there.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import shutil
import socket
import stat
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from django.conf import settings

from sandbox.driver import DriverError
from sandbox.failures import AgentFailure, Fault
from sandbox.places import (
    ALIVE_NAME,
    LOG_NAMES,
    SANDBOX_UID,
    door_dir,
    doors_root,
    gateway_dir,
    gateways_root,
    sandbox_uid,
    socket_path,
)

_SIZE = "size=1m,nr_inodes=32"
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MNT_DETACH = 2
_READ_AHEAD = 32 * 1024
# ECMA-48, 5.4: control sequences such as colours.
_TERMINAL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class Door(Protocol):
    """Where one sandbox's agent listens for us, wherever it runs."""

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A fresh connection to the agent, of which nothing was read or written yet.

        Raises AgentFailure `not_listening` when nobody accepts, `sandbox_gone` when there is no socket,
        `unsafe_socket` when the agent put something else in its place.
        """

    def is_answering(self) -> bool:
        """Whether somebody accepts connections: the relay ends with the agent. Takes well under 1 ms on this
        host.
        """

    def find_fault(self) -> AgentFailure:
        """Whose fault it is that nobody answers."""

    async def explain(self, failure: AgentFailure) -> AgentFailure:
        """A failure that looks like the agent's, as what it really is: ours when the sandbox's host went away."""

    def read_log(self) -> str:
        """The last of what the agent printed; empty when it can't be had."""


def gone() -> AgentFailure:
    """The failure of a sandbox that runs no more though nobody ended it."""
    return AgentFailure("It no longer answers at its socket.", fault=Fault.AGENT, code="not_listening")


@dataclass(frozen=True, slots=True)
class LocalDoor:
    """A sandbox of this host: its Unix socket, looked at anew before each use."""

    path: Path

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """See `Door`."""
        with open_socket(self.path) as name:
            try:
                return await asyncio.open_unix_connection(name, limit=_READ_AHEAD)
            except OSError as refused:
                raise AgentFailure(
                    "Nothing in the agent's sandbox listens.", fault=Fault.AGENT, code="not_listening"
                ) from refused

    def is_answering(self) -> bool:
        """See `Door`."""
        try:
            with open_socket(self.path) as name, socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(0.5)
                connection.connect(name)
                return True
        except (AgentFailure, OSError):
            return False

    def find_fault(self) -> AgentFailure:
        """See `Door`."""
        return gone()

    async def explain(self, failure: AgentFailure) -> AgentFailure:
        """See `Door`: on one host there is nothing between."""
        return failure

    def read_log(self) -> str:
        """See `Door`."""
        return read_log(uuid.UUID(hex=self.path.parent.name))


def local_door(sandbox_id: uuid.UUID) -> LocalDoor:
    """The door of a sandbox that runs on this host."""
    return LocalDoor(socket_path(sandbox_id))


def prepare(sandbox_id: uuid.UUID) -> Path:
    """An empty directory that the sandbox's user may write to; a tmpfs of 1 MiB where we are root.

    Raises DriverError where we are root and may not mount.
    """
    root = doors_root()
    root.mkdir(parents=True, exist_ok=True)
    # Only we pass; the sandbox comes in by a mount and does not need the path.
    root.chmod(0o700)
    remove(sandbox_id)
    directory = door_dir(sandbox_id)
    directory.mkdir()
    if os.geteuid() == 0:
        _mount_tmpfs(directory)
        os.chown(directory, sandbox_uid(sandbox_id), sandbox_uid(sandbox_id))
    # Whichever user the driver gives it may write; nobody else comes as far as here.
    directory.chmod(0o777)
    return directory


def prepare_gateway(sandbox_id: uuid.UUID, *, root: Path | None = None) -> Path:
    """The directory in which the gateway's process comes to listen for this sandbox alone.

    `root` is GATEWAY_SOCKET_DIR unless another server than the store's own is to listen there.
    """
    root = root or gateways_root()
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o700)
    directory = root / sandbox_id.hex
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)
    _show_life(directory)
    return directory


def keep_alive(sandbox_id: uuid.UUID) -> None:
    """Tell a sandbox's process 1 that the platform is there; without it everything in it ends after
    SANDBOX_DEAD_MAN_SECONDS. Nothing happens where the sandbox has no directory any more.
    """
    with contextlib.suppress(OSError):
        _show_life(gateway_dir(sandbox_id))


def was_unattended(sandbox_id: uuid.UUID) -> bool:
    """Whether the sandbox has gone without a sign of life for as long as its process 1 waits: our own record, which
    nothing in the sandbox can write to.
    """
    with contextlib.suppress(OSError):
        shown = (gateway_dir(sandbox_id) / ALIVE_NAME).stat().st_mtime
        return bool(time.time() - shown >= settings.SANDBOX_DEAD_MAN_SECONDS)
    return False


def _show_life(directory: Path) -> None:
    """What counts is that the text is another one: no clock of the sandbox's is compared with ours."""
    fresh = directory / "alive.new"
    fresh.write_text(f"{time.time_ns()}\n")
    fresh.chmod(0o644)
    fresh.replace(directory / ALIVE_NAME)


def remove(sandbox_id: uuid.UUID) -> None:
    """Nothing is left of either directory; safe to repeat."""
    shutil.rmtree(gateway_dir(sandbox_id), ignore_errors=True)
    directory = door_dir(sandbox_id)
    if directory.is_symlink():
        directory.unlink(missing_ok=True)
    if not directory.exists():
        return
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        while os.path.ismount(directory) and libc.umount2(os.fsencode(directory), _MNT_DETACH) == 0:
            pass
    shutil.rmtree(directory, ignore_errors=True)


def left_behind() -> list[uuid.UUID]:
    """The sandboxes that have a directory on this host."""
    found = set[uuid.UUID]()
    for entry in {*doors_root().glob("*"), *gateways_root().glob("*")}:
        with contextlib.suppress(ValueError):
            found.add(uuid.UUID(hex=entry.name))
    return list(found)


def _mount_tmpfs(directory: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    if libc.mount(b"agentstore", os.fsencode(directory), b"tmpfs", flags, _SIZE.encode()) != 0:
        why = os.strerror(ctypes.get_errno())
        raise DriverError(
            f"The sandbox's directory can't be made a tmpfs: {why}.",
            hint="Let the sandbox worker mount (CAP_SYS_ADMIN), or run it as another user than root.",
        )


@contextlib.contextmanager
def open_socket(path: Path | str) -> Iterator[str]:
    """A name under which exactly the checked socket can be connected to, however the directory changes
    meanwhile.

    The file is opened by O_PATH without following links, must be a socket, and must belong to the sandbox's
    user or to us; `/proc/self/fd/N` then names that very inode. Raises AgentFailure `sandbox_gone` when there
    is none, and `unsafe_socket` when something else lies there.
    """
    directory, name = os.path.split(os.fspath(path))
    try:
        parent = _open_directory(directory)
        try:
            descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=parent)
        finally:
            os.close(parent)
    except OSError as missing:
        raise AgentFailure(
            "The agent's sandbox is gone.", fault=Fault.PLATFORM, code="sandbox_gone"
        ) from missing
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid not in _owners(directory):
            raise AgentFailure(
                "The agent put something else in its socket's place.", fault=Fault.AGENT, code="unsafe_socket"
            )
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _open_directory(directory: Path | str) -> int:
    """As root it is what we mounted, never a link; an ordinary user's own link leads to its keeper's mount."""
    no_links = os.O_NOFOLLOW if os.geteuid() == 0 else 0
    return os.open(directory, os.O_PATH | os.O_DIRECTORY | no_links)


def _owners(directory: str) -> set[int]:
    """Who may have made a socket in it."""
    owners = {SANDBOX_UID, os.geteuid()}
    with contextlib.suppress(ValueError):
        owners.add(sandbox_uid(uuid.UUID(hex=os.path.basename(directory))))
    return owners


def read_log(sandbox_id: uuid.UUID, *, limit: int = 8192) -> str:
    """The last `limit` bytes of what the agent printed, with control characters taken out."""
    text = b""
    with contextlib.suppress(OSError):
        parent = _open_directory(door_dir(sandbox_id))
        try:
            for name in LOG_NAMES:
                text += _read_tail(parent, name, limit)
        finally:
            os.close(parent)
    shown = _TERMINAL.sub("", text[-limit:].decode(errors="replace"))
    return "".join(c for c in shown if c in "\n\t" or c.isprintable())


def _read_tail(parent: int, name: str, limit: int) -> bytes:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    except OSError:
        return b""
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return b""
        return os.pread(descriptor, limit, max(0, found.st_size - limit))
    finally:
        os.close(descriptor)
