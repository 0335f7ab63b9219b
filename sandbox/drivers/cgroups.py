"""What the kernel counted for a sandbox's processes, read from its cgroup (version 1 or 2) and from /proc.

Everything is best effort: a file that is missing or closed to us leaves its figure unknown, for a failure is
shown without it rather than not at all.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from sandbox.strain import Strain

_ROOT = Path("/sys/fs/cgroup")
# The most processes that are looked at for their open files.
_MOST = 256
_FULL_BYTES = 64 * 1024


def strain_of(pid: int, *, sees_inside: bool = True) -> Strain:
    """The strain of the cgroups that the process is in.

    `sees_inside` is False where the agent's processes and files are not the host's (gVisor).
    """
    places = _places(pid)
    memory = _fields(places, "memory", "memory.events") or _fields(places, "memory", "memory.oom_control")
    cpu = _fields(places, "cpu", "cpu.stat")
    periods = cpu.get("nr_periods", 0)
    return Strain(
        memory_kills=memory.get("oom_kill"),
        refused_processes=_fields(places, "pids", "pids.events").get("max"),
        throttled=round(cpu.get("nr_throttled", 0) / periods, 3) if periods else None,
        open_files=_most_open_files(places) if sees_inside else None,
        disk_full=_is_full(Path(f"/proc/{pid}/root/tmp")) if sees_inside else None,
    )


def _places(pid: int) -> dict[str, Path]:
    """The directory of each controller; in version 2 it is the one of the empty name."""
    places = dict[str, Path]()
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for name in controllers.split(","):
                places[name] = _ROOT / name / path.lstrip("/")
    return places


def _file(places: dict[str, Path], controller: str, name: str) -> Path | None:
    place = places.get(controller) or places.get("")
    return None if place is None else place / name


def _fields(places: dict[str, Path], controller: str, name: str) -> dict[str, int]:
    """The numbers of a flat keyed file."""
    file, found = _file(places, controller, name), dict[str, int]()
    with contextlib.suppress(OSError, ValueError):
        for line in file.read_text().splitlines() if file else ():
            key, _, value = line.partition(" ")
            found[key] = int(value)
    return found


def _most_open_files(places: dict[str, Path]) -> int | None:
    file = _file(places, "pids", "cgroup.procs")
    counts = list[int]()
    with contextlib.suppress(OSError):
        for pid in file.read_text().split()[:_MOST] if file else ():
            with contextlib.suppress(OSError):
                counts.append(len(os.listdir(f"/proc/{pid}/fd")))
    return max(counts, default=None)


def _is_full(directory: Path) -> bool | None:
    with contextlib.suppress(OSError):
        found = os.statvfs(directory)
        return found.f_bavail * found.f_frsize < _FULL_BYTES or found.f_favail == 0
    return None
