"""Control groups of our own making, of version 1 or 2: `agentstore/<name>` below each controller's root."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

PERIOD_MICROSECONDS = 100_000
_PARENT = "agentstore"
_CONTROLLERS = ("memory", "cpu", "cpuacct", "pids")
_REMOVE_SECONDS = 5.0


def find_roots(mounts: str = "/proc/self/mounts") -> dict[str, str]:
    """The root directory of each controller that we need; empty where one of them is missing or not ours to
    use. With version 2 all roots are the same directory.
    """
    roots: dict[str, str] = {}
    with open(mounts, encoding="utf-8", errors="replace") as file:
        rows = [line.split() for line in file]
    for _, place, kind, options, *_ in rows:
        if kind == "cgroup":
            roots |= {name: place for name in options.split(",") if name in _CONTROLLERS}
        elif kind == "cgroup2" and _has_controllers(place):
            roots |= dict.fromkeys(_CONTROLLERS, place)
    complete = set(roots) == set(_CONTROLLERS)
    return roots if complete and all(os.access(place, os.W_OK) for place in roots.values()) else {}


def _has_controllers(place: str) -> bool:
    try:
        return {"memory", "cpu", "pids"} <= set(Path(place, "cgroup.controllers").read_text().split())
    except OSError:
        return False


class Cgroup:
    """One group. `roots` is what `find_roots` gave; nothing exists before `make`."""

    def __init__(self, roots: dict[str, str], name: str) -> None:
        self._name = name
        self._roots = {key: Path(place) for key, place in roots.items()}
        self._paths = {key: place / _PARENT / name for key, place in self._roots.items()}
        self._unified = len(set(self._roots.values())) == 1

    def make(self, *, memory_bytes: int, cpus: float, pids: int) -> None:
        """Make the group with these limits; no swap. Raises OSError where the kernel refuses."""
        self._make_directories()
        quota = int(cpus * PERIOD_MICROSECONDS)
        if self._unified:
            self._write("memory", "memory.max", memory_bytes)
            self._write("memory", "memory.swap.max", 0, optional=True)
            # gVisor is one program to the agent: it goes as a whole.
            self._write("memory", "memory.oom.group", 1, optional=True)
            self._write("cpu", "cpu.max", f"{quota} {PERIOD_MICROSECONDS}")
        else:
            self._write("memory", "memory.limit_in_bytes", memory_bytes)
            self._write("memory", "memory.memsw.limit_in_bytes", memory_bytes, optional=True)
            self._write("cpu", "cpu.cfs_period_us", PERIOD_MICROSECONDS)
            self._write("cpu", "cpu.cfs_quota_us", quota)
        self._write("pids", "pids.max", pids)

    def _make_directories(self) -> None:
        for tries in range(5):
            try:
                if self._unified:
                    self._delegate()
                for path in set(self._paths.values()):
                    path.mkdir(parents=True, exist_ok=True)
                return
            except FileNotFoundError:
                # The last group beside this one was removed at this moment, and their parent with it.
                if tries == 4:
                    raise

    def _delegate(self) -> None:
        root = self._roots["memory"]
        for directory in (root, root / _PARENT):
            directory.mkdir(exist_ok=True)
            control = directory / "cgroup.subtree_control"
            if not {"memory", "cpu", "pids"} <= set(control.read_text().split()):
                control.write_text("+memory +cpu +pids")

    def enter(self) -> None:
        """Put the calling process into it."""
        for path in set(self._paths.values()):
            (path / "cgroup.procs").write_text("0")

    def exists(self) -> bool:
        """Whether anything of it is there."""
        return any(path.exists() for path in self._paths.values())

    def memory_bytes(self) -> int:
        """What its processes hold, less the cache that the kernel would give back."""
        name = "memory.current" if self._unified else "memory.usage_in_bytes"
        cache = "inactive_file" if self._unified else "total_inactive_file"
        return int(self._read("memory", name)) - self._counter("memory.stat", cache)

    def cpu_seconds(self) -> float:
        """What its processes have used."""
        if self._unified:
            return self._counter("cpu.stat", "usage_usec", "cpu") / 1e6
        return int(self._read("cpuacct", "cpuacct.usage")) / 1e9

    def was_out_of_memory(self) -> bool:
        """Whether the kernel has killed one of its processes for the memory limit."""
        return self._counter("memory.events" if self._unified else "memory.oom_control", "oom_kill") > 0

    def remove(self) -> None:
        """Kill what is in it and remove it. Raises TimeoutError when something in it does not end."""
        until = time.monotonic() + _REMOVE_SECONDS
        while self.exists():
            for path in set(self._paths.values()):
                self._empty(path)
            if not self.exists():
                break
            if time.monotonic() > until:
                raise TimeoutError(f"the control group {self._name} can't be removed")
            time.sleep(0.005)
        for root in set(self._roots.values()):
            with contextlib.suppress(OSError):
                (root / _PARENT).rmdir()

    def _empty(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            for pid in (path / "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            path.rmdir()

    def _read(self, controller: str, name: str) -> str:
        return (self._paths[controller] / name).read_text()

    def _counter(self, name: str, key: str, controller: str = "memory") -> int:
        with contextlib.suppress(OSError):
            for line in self._read(controller, name).splitlines():
                if line.startswith(f"{key} "):
                    return int(line.split()[1])
        return 0

    def _write(self, controller: str, name: str, value: object, *, optional: bool = False) -> None:
        try:
            (self._paths[controller] / name).write_text(str(value))
        except OSError:
            if not optional:
                raise
