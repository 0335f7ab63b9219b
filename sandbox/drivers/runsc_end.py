"""The end of an engine-less sandbox, whoever started it and however its keeper fares."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
import uuid
from pathlib import Path

from sandbox.driver import DriverError
from sandbox.keeper import orders
from sandbox.keeper.cgroups import Cgroup

_POLITE_SECONDS, _END_SECONDS = 10.0, 20.0
_LOOK_SECONDS = 0.005
_LEFTOVER_SECONDS = 600


def remove_sandbox(directory: Path) -> None:
    """Nothing of it runs any more and its directory is gone. Safe to repeat and to race.

    The lock is held meanwhile, so that no keeper begins with what is being removed. Raises DriverError when
    something does not end.
    """
    began = time.monotonic()
    try:
        while (lock := orders.take_lock(directory)) is None:
            spent = time.monotonic() - began
            if spent > _END_SECONDS:
                raise DriverError("The sandbox's keeper does not end.")
            _signal_keeper(directory, signal.SIGTERM if spent < _POLITE_SECONDS else signal.SIGKILL)
            time.sleep(_LOOK_SECONDS)
    except FileNotFoundError:
        return
    try:
        if orders.read_ended(directory) is None:
            _end_leftovers(directory)
        gone = directory.with_name(f".gone-{uuid.uuid4().hex}")
        with contextlib.suppress(FileNotFoundError):
            directory.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
    finally:
        os.close(lock)


def sweep(home: Path) -> None:
    """Remove the directories that a process left half made or half removed when it was killed."""
    oldest = time.time() - _LEFTOVER_SECONDS
    for directory in home.glob(".*"):
        with contextlib.suppress(FileNotFoundError):
            if directory.stat().st_mtime < oldest:
                shutil.rmtree(directory, ignore_errors=True)


def _signal_keeper(directory: Path, number: signal.Signals) -> None:
    pid = orders.read_number(directory, "keeper")
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            # The number is the keeper's as long as the lock is held.
            if orders.is_held(directory):
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def _end_leftovers(directory: Path) -> None:
    """After a keeper that was killed: its children were killed with it, which is made sure of."""
    until = time.monotonic() + _END_SECONDS
    while strays := _processes_of(directory):
        for pid in strays:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > until:
            raise DriverError(f"These processes of a sandbox do not end: {strays}")
        time.sleep(_LOOK_SECONDS)
    with contextlib.suppress(FileNotFoundError):
        order = orders.read_order(directory)
        if order.cgroup_roots:
            try:
                Cgroup(order.cgroup_roots, order.cgroup_name).remove()
            except TimeoutError as stuck:
                raise DriverError(str(stuck)) from stuck


def _processes_of(directory: Path) -> list[int]:
    """gVisor's processes name the directory of their state among their arguments."""
    mark = os.fsencode(directory / "state")
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(part.endswith(mark) for part in (entry / "cmdline").read_bytes().split(b"\0")):
                found.append(int(entry.name))
    return found
