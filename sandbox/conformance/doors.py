"""What the host looks at is in a stranger's directory: it is not fooled by what lies there."""

from __future__ import annotations

import asyncio
import time
import uuid

from sandbox import doors
from sandbox.bench import Bench
from sandbox.conformance.registry import ATTACKS, Seen, check
from sandbox.failures import AgentFailure
from sandbox.places import SOCKET_NAME
from sandbox.protocols.client import exchange

_FIX = "Update the store: this is kept by sandbox/doors.py."
_KINDS = ("link", "pipe", "directory", "text", "sparse")


@check(
    ATTACKS,
    proves="Whatever is put in the place of the agent's socket, no socket of the host's is connected to and nobody "
    "waits.",
    rests_on="the socket is opened with `O_PATH|O_NOFOLLOW`, its type and owner are checked, and that very inode is "
    "connected to",
    fix=_FIX,
)
def refuses_swapped_socket(bench: Bench) -> Seen:
    """A link to the host's socket, a pipe, a directory, files; then all of them by turns."""
    told = dict[str, int]()
    with bench.probe() as probe:
        precious = str(bench.gateway_of(probe))
        started = time.monotonic()
        # The last order that comes through the socket; what follows is done by the probe's own thread.
        probe.ask("flip", name=SOCKET_NAME, kinds=_KINDS, target=precious, seconds=2)
        # Until it begins, the socket is still the relay's own.
        while time.monotonic() < started + 1 and doors.local_door(probe.id).is_answering():
            pass
        while time.monotonic() < started + 1.6:
            word = "answering" if doors.local_door(probe.id).is_answering() else _outcome(probe.id)
            told[word] = told.get(word, 0) + 1
        seconds = time.monotonic() - started
    return set(told) <= {"unsafe_socket", "sandbox_gone"} and seconds < 5, told


def _outcome(sandbox_id: uuid.UUID) -> str:
    async def knock() -> str:
        try:
            async with exchange(
                doors.local_door(sandbox_id), deadline=1, method="GET", target="/ping"
            ) as answer:
                return f"status {answer.status}"
        except AgentFailure as refused:
            return str(refused.code)

    return asyncio.run(knock())


@check(
    ATTACKS,
    proves="Whatever is put in the place of the log, no file of the host's is read and nobody waits.",
    rests_on="the log is opened without following links or waiting, must be a plain file, and only its end is read",
    fix=_FIX,
)
def refuses_swapped_log(bench: Bench) -> Seen:
    """A link to a secret of the host, a pipe, a directory, a file of a terabyte; each, then by turns."""
    with bench.probe() as probe:
        secret, slowest = str(bench.secret_dir / "secret"), 0.0
        read = ""
        for kind in _KINDS:
            probe.ask("replace", name="log", kind=kind, target=secret)
            text, seconds = _read(probe.id)
            read, slowest = read + text, max(slowest, seconds)
        probe.ask("flip", name="log", kinds=_KINDS, target=secret, seconds=1.2)
        until = time.monotonic() + 0.8
        while time.monotonic() < until:
            text, seconds = _read(probe.id)
            read, slowest = read + text, max(slowest, seconds)
    return bench.secret not in read and slowest < 1, f"the slowest look took {slowest:.3f} s"


def _read(sandbox_id: uuid.UUID) -> tuple[str, float]:
    started = time.monotonic()
    return doors.read_log(sandbox_id), time.monotonic() - started
