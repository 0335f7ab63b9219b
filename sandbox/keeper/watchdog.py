"""Keeps memory and CPU within limits where no control group does: looks, holds up, ends.

What it can't do better than by looking again and again is bounded by how often it looks: every 20 to 100
milliseconds, less often only where looking itself would cost more than a tenth of the time.
"""

from __future__ import annotations

import signal
import time

from sandbox.keeper import processes

_BUSY, _IDLE = 0.02, 0.1
_LOOKING_SHARE = 0.1
# What may be used at once after a pause, in seconds of CPU: a start is short and should not be held up.
_BURST = 0.25


class Allowance:
    """CPU time that is earned at a rate and spent; pure, so that it can be tested without a process."""

    def __init__(self, cpus: float, at: float) -> None:
        self._cpus, self._at, self._used = cpus, at, 0.0
        self._left = _BURST

    def is_spent(self, *, used: float, at: float) -> bool:
        """Whether more has been used than earned. `used` is the total in CPU seconds, `at` a clock's word."""
        self._left = min(_BURST, self._left + self._cpus * (at - self._at)) - (used - self._used)
        self._at, self._used = at, used
        return self._left < 0


class Watchdog:
    """One sandbox's, from gVisor's first process down."""

    def __init__(self, root: int, *, memory_bytes: int, cpus: float) -> None:
        self._root, self._memory_bytes = root, memory_bytes
        self._allowance = Allowance(cpus, time.monotonic())
        self._used, self._held = 0.0, False

    def look(self, sandbox: int | None) -> tuple[bool, float]:
        """Whether it has gone over its memory, and in how many seconds to look again. `sandbox` is the process
        of gVisor's kernel, once that is known.
        """
        began = time.monotonic()
        if processes.memory_bytes(self._root, sandbox) > self._memory_bytes:
            return True, 0.0
        pids = processes.descendants(self._root)
        # A process that has ended takes its time with it until its parent has waited for it.
        used = max(self._used, processes.cpu_seconds(pids))
        hold = self._allowance.is_spent(used=used, at=began)
        if hold or self._held:
            # Again each time, for there may be new ones; the first only waits for the others.
            processes.send(pids[1:], signal.SIGSTOP if hold else signal.SIGCONT)
        busy = hold or used > self._used
        self._used, self._held = used, hold
        cost = (time.monotonic() - began) / _LOOKING_SHARE
        return False, max(cost, _BUSY if busy else _IDLE)
