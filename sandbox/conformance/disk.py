"""Whatever can be written to is bounded in bytes and in files."""

from __future__ import annotations

import time

import psutil

from sandbox import doors
from sandbox.bench import Bench
from sandbox.conformance.registry import ATTACKS, Seen, check
from sandbox.places import door_dir
from sandbox.spec import MIB

_TMPFS = "Mount a tmpfs with `size` and `nr_inodes`, as root where the door's directory is concerned."


@check(
    ATTACKS,
    proves="All places that can be written to are bounded in bytes: /tmp, /dev/shm, /run/agentstore, the door.",
    rests_on="tmpfs with `size`; the door's directory is a tmpfs of 1 MiB where we are root",
    fix=_TMPFS,
)
def contains_disk_fill(bench: Bench) -> Seen:
    """Each is filled until it refuses."""
    limits = {
        "/tmp": 8 * MIB,  # noqa: S108  (inside the sandbox)
        "/dev/shm": 16 * MIB,  # noqa: S108
        "/run/agentstore": 256 * 1024,
        "/run/agentstore/agent": MIB,
    }
    with bench.probe(tmp_bytes=8 * MIB) as probe:
        seen = {place: probe.ask("fill", directory=place)["bytes"] for place in limits}
    kept = all(seen[place] <= limit for place, limit in limits.items()) and seen["/tmp"] >= 7 * MIB  # noqa: S108
    return kept, seen


@check(
    ATTACKS,
    proves="They are bounded in files, too.",
    rests_on="tmpfs with `nr_inodes`; gVisor's own tmpfs counts none, there they cost the sandbox's memory",
    fix=_TMPFS,
)
def contains_many_files(bench: Bench) -> Seen:
    """Empty files until it refuses."""
    with bench.probe(tmp_bytes=8 * MIB) as probe:
        seen = {
            place: probe.ask("many_files", directory=place, limit=6_000, deadline=60)["files"]
            for place in ("/tmp", "/run/agentstore/agent")  # noqa: S108
        }
        usage = probe.driver.usage(probe.handle)
        own = probe.has_own_kernel
    bounded = own and usage is not None and usage.memory_bytes < 330 * MIB
    inside = seen["/tmp"] <= 8 * MIB // 4096 or bounded  # noqa: S108
    return inside and seen["/run/agentstore/agent"] <= 32, seen


@check(
    ATTACKS,
    proves="A flood of output stays in the sandbox's own small directory, is paid by its own CPU share, and leaves "
    "it answering.",
    rests_on="log driver `none`; the log is a ring of two files on the sandbox's own tmpfs",
    fix="Keep output away from the engine's log driver.",
)
def contains_log_flood(bench: Bench) -> Seen:
    """Standard output and error, in lines and without an end of line."""
    engine = [p for p in psutil.process_iter(["name"]) if p.info["name"] in ("dockerd", "containerd")]
    with bench.probe(cpus=0.5) as probe:
        before, started = _seconds(engine), time.monotonic()
        for without_lines in (False, True):
            probe.ask("log_flood", seconds=0.8, without_lines=without_lines)
        burnt, wall = _seconds(engine) - before, time.monotonic() - started
        size = sum(entry.stat().st_size for entry in door_dir(probe.id).glob("log*"))
        tail = doors.read_log(probe.id)
        alive = bool(probe.ask("outlook"))
    kept = alive and size <= MIB and "flood" in tail and burnt < wall * 0.4
    return kept, f"{size} bytes kept, engine spent {burnt:.2f} s of {wall:.2f} s"


def _seconds(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)
