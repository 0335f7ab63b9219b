"""Processes that work on the test's database and are killed at random moments."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator

from django.db import connection, connections


def killed_at_random(
    work: Callable[[], object], *, times: int, within: float, seed: int = 7
) -> Iterator[None]:
    """Begin the work so often in a process of its own, killed within so many seconds; yields after each death.

    A forked process, so that it is at work at once: most of a new interpreter's time goes into its start.
    """
    rng, killed = random.Random(seed), 0
    for _ in range(times):
        others = sessions()
        connections.close_all()
        child = os.fork()
        if child == 0:
            try:
                work()
            finally:
                os._exit(0)
        time.sleep(rng.uniform(0, within))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
        settle_sessions(besides=others)
        yield
    assert killed, "no process was killed in the middle of its work"


def sessions() -> set[int]:
    """The process ids of whoever is connected to the test's database, this connection left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return {pid for (pid,) in cursor.fetchall()}


def settle_sessions(*, besides: set[int]) -> None:
    """Wait until PostgreSQL has noticed that the killed are gone, so that their rows are unlocked."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if not sessions() - besides:
            return
        time.sleep(0.05)
    raise AssertionError("sessions of killed processes stay")
