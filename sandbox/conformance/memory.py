"""More memory than allowed, in whatever kind, is refused or ends the sandbox, and nothing else."""

from __future__ import annotations

from typing import Any

from sandbox.bench import Bench
from sandbox.conformance.registry import ATTACKS, Seen, check
from sandbox.failures import AgentFailure
from sandbox.spec import MIB

LIMIT = 128 * MIB
# What gVisor's own processes take is on top.
_ROOM = 80 * MIB
# A watchdog looks every tenth of a second, less often on a machine that is short of time.
_NOTICE_SECONDS = 2
_FIX = "Enable the memory cgroup, and set its limit without swap."


def _taken(bench: Bench, attack: str, *, ends: bool = False, deadline: float = 60, **arguments: Any) -> Seen:
    """Kept when it got no more than the limit, or was ended for it."""
    limits = {"memory_bytes": LIMIT, "tmp_bytes": arguments.pop("tmp_bytes", 32 * MIB)}
    with bench.probe(**limits) as probe:
        try:
            seen = probe.ask(attack, deadline=deadline, **arguments)["bytes"]
        except AgentFailure as failed:
            state = probe.wait_for_end(10)
            return not state.running, f"{failed.code}, {state}"
        usage = probe.driver.usage(probe.handle)
        held = usage.memory_bytes if usage else 0
        kept = seen <= LIMIT and held <= LIMIT + _ROOM and not ends
        if not kept and not (state := probe.wait_for_end(_NOTICE_SECONDS)).running:
            # Where memory is watched rather than refused, its end comes a moment after the answer.
            return True, f"ended after {seen // MIB} MiB, {state}"
    return kept, f"took {seen // MIB} MiB, costs {held // MIB} MiB of {LIMIT // MIB}"


@check(
    ATTACKS,
    proves="Memory taken at once ends the sandbox.",
    rests_on="memory limit, no swap",
    fix=_FIX,
)
def contains_memory_hog(bench: Bench) -> Seen:
    """8 MiB at a time."""
    return _taken(bench, "memory_hog", ends=True)


@check(
    ATTACKS,
    proves="Memory taken little by little ends it as well.",
    rests_on="memory limit, no swap",
    fix=_FIX,
)
def contains_slow_memory_hog(bench: Bench) -> Seen:
    """1 MiB every 5 ms."""
    return _taken(bench, "memory_hog", ends=True, step=MIB, pause=0.005)


@check(
    ATTACKS,
    proves="Many processes together have no more than one.",
    rests_on="memory limit of the whole sandbox, no swap",
    fix=_FIX,
)
def contains_memory_in_children(bench: Bench) -> Seen:
    """12 processes of 32 MiB; the kernel may end some of them, or the sandbox."""
    return _taken(bench, "memory_in_children")


@check(
    ATTACKS,
    proves="Files in /tmp count as the sandbox's memory, however large its /tmp may be.",
    rests_on="memory limit: a tmpfs is charged to who fills it",
    fix=_FIX,
)
def contains_memory_in_tmp(bench: Bench) -> Seen:
    """A /tmp of twice its memory."""
    return _taken(bench, "memory_in_files", directory="/tmp", tmp_bytes=2 * LIMIT)  # noqa: S108


@check(
    ATTACKS,
    proves="Shared memory is bounded.",
    rests_on="a tmpfs of 16 MiB at /dev/shm, charged to the sandbox",
    fix="Mount a small tmpfs at /dev/shm.",
)
def contains_memory_in_shm(bench: Bench) -> Seen:
    """Files in /dev/shm."""
    return _taken(bench, "memory_in_files", directory="/dev/shm")  # noqa: S108


@check(
    ATTACKS,
    proves="So is memory without a name: memfds and shared maps.",
    rests_on="memory limit, no swap",
    fix=_FIX,
)
def contains_memory_without_a_name(bench: Bench) -> Seen:
    """16 MiB at a time."""
    return _taken(bench, "memory_without_a_name")


@check(
    ATTACKS,
    proves="So are System V segments, which outlive the process that made them.",
    rests_on="memory limit; an IPC namespace of its own, gone with the sandbox",
    fix=_FIX,
)
def contains_shared_segments(bench: Bench) -> Seen:
    """8 MiB at a time, detached at once."""
    return _taken(bench, "shared_segments")


@check(
    ATTACKS,
    proves="The kernel's own memory is counted: full pipes and sockets in many processes.",
    rests_on="memory limit with kernel memory; limits of processes and open files",
    fix=_FIX,
)
def contains_memory_of_the_kernel(bench: Bench) -> Seen:
    """24 processes that fill 64 MiB of pipes and sockets each, if they can."""
    return _taken(bench, "memory_of_the_kernel")


@check(
    ATTACKS,
    proves="Reading the whole image costs no more than the limit: its page cache gives way.",
    rests_on="memory limit: cache is charged to who reads",
    fix=_FIX,
)
def contains_page_cache(bench: Bench) -> Seen:
    """And leaves it well."""
    return _taken(bench, "read_everything")
