"""What /proc says of a process and all below it."""

from __future__ import annotations

import contextlib
import os
import signal

_TICK = os.sysconf("SC_CLK_TCK")
_BLOCK = 512
_MEMORY_FILE = "/memfd:runsc-memory"


def descendants(root: int, *, leaf: int | None = None) -> list[int]:
    """The process and all below it, parents first, but none below `leaf`; those that end meanwhile may be
    among them.
    """
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        if pid == leaf:
            continue
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                waiting += _children(pid, thread)
    return found


def _children(pid: int, thread: str) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def cpu_seconds(pids: list[int]) -> float:
    """What they have used, their ended children included."""
    ticks = 0
    for pid in pids:
        with (
            contextlib.suppress(OSError),
            open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file,
        ):
            # After the name in brackets: utime, stime, cutime, cstime are fields 14 to 17.
            ticks += sum(map(int, file.read().rpartition(")")[2].split()[11:15]))
    return ticks / _TICK


def memory_bytes(root: int, sandbox: int | None) -> int:
    """gVisor's own memory and that of all it runs. `root` is its first process, `sandbox` its kernel's.

    What the programs inside have, their tmpfs included, lies in one memory file of the kernel's, whose blocks
    are counted: how much of it is mapped anywhere says nothing.
    """
    total = sum(_anonymous(pid) for pid in descendants(root, leaf=sandbox))
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{sandbox}/fd"):
            total += _memory_file(f"/proc/{sandbox}/fd/{name}")
    return total


def _anonymous(pid: int) -> int:
    with (
        contextlib.suppress(OSError),
        open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file,
    ):
        for line in file:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def _memory_file(path: str) -> int:
    with contextlib.suppress(OSError):
        if os.readlink(path).startswith(_MEMORY_FILE):
            return os.stat(path).st_blocks * _BLOCK
    return 0


def send(pids: list[int], number: signal.Signals) -> None:
    """The signal to each that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
