"""Which processes go first on a full machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

# Weighs a tenth of the others.
NICENESS: Final = 10


def give_way() -> None:
    """From now on this process has the processor when others leave it: its niceness is 10 at least. On Linux only.

    A kernel with autogroups (sched(7)) weighs sessions against each other, and heeds a niceness only within one: where
    this process leads a session, that has the niceness too. Containers have `cpu_shares` for it.
    """
    if sys.platform != "linux":
        return
    for thread in Path("/proc/self/task").iterdir():
        number = int(thread.name)
        os.setpriority(os.PRIO_PROCESS, number, max(NICENESS, os.getpriority(os.PRIO_PROCESS, number)))
    group = Path("/proc/self/autogroup")
    if group.exists() and os.getsid(0) == os.getpid():
        group.write_text(str(NICENESS))
