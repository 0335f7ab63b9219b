"""Which processes go first on a full machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


def give_way(niceness: int) -> None:
    """From now on this process has a niceness of at least so much (0 to 19; a step weighs a fifth less). Linux only.

    A kernel with autogroups (sched(7)) weighs sessions against each other, and heeds a niceness only within one: where
    this process leads a session, that has the niceness too, if the kernel lets it. Containers have `cpu_shares` for it.
    """
    if sys.platform != "linux":
        return
    for thread in Path("/proc/self/task").iterdir():
        number = int(thread.name)
        os.setpriority(os.PRIO_PROCESS, number, max(niceness, os.getpriority(os.PRIO_PROCESS, number)))
    group = Path("/proc/self/autogroup")
    if group.exists() and os.getsid(0) == os.getpid():
        try:
            group.write_text(str(niceness))
        except OSError as error:
            log.info("the session keeps its weight", reason=str(error))
