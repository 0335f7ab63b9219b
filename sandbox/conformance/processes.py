"""Processes, threads, CPU and descriptors are bounded, and nothing can delay an end."""

from __future__ import annotations

import time

from sandbox.bench import Bench, Probe
from sandbox.conformance.registry import ATTACKS, Seen, check
from sandbox.failures import AgentFailure

# The relay's and the runtime's own, with room.
_ROOM = 300
_PIDS = "Enable the pids cgroup, and set the limit."
# Generous: what counts is that it ends, on a busy machine too.
_END_SECONDS = 30


def _end(probe: Probe) -> float:
    """Seconds until a stop has removed it."""
    before = time.monotonic()
    probe.driver.stop(probe.handle)
    return time.monotonic() - before


@check(
    ATTACKS,
    proves="There cannot be more processes than the limit.",
    rests_on="the pids cgroup",
    fix=_PIDS,
)
def contains_fork_bomb(bench: Bench) -> Seen:
    """gVisor ends the whole sandbox when the host refuses it a thread."""
    with bench.probe(pids=64) as probe:
        try:
            seen = probe.ask("fork_bomb", deadline=40)["processes"]
        except AgentFailure as ended:
            return probe.has_own_kernel and not probe.wait_for_end(5).running, ended.code
    return seen < 64 + _ROOM, f"{seen} processes"


@check(
    ATTACKS,
    proves="A bomb whose processes detach, ignore signals and fork on is bounded, and ended by a stop.",
    rests_on="the pids cgroup and the CPU share; a stop kills the process namespace",
    fix=_PIDS,
)
def ends_recursive_fork_bomb(bench: Bench) -> Seen:
    """While it goes off, the driver answers."""
    with bench.probe(pids=64) as probe:
        try:
            seen = probe.ask("recursive_fork_bomb", deadline=20)["processes"]
        except AgentFailure:
            seen = 0
        seconds = _end(probe)
        gone = not probe.state().exists
    return seen < 64 + _ROOM and gone and seconds < _END_SECONDS, f"{seen} processes, gone in {seconds:.1f} s"


@check(
    ATTACKS,
    proves="There cannot be more threads than the limit either.",
    rests_on="the pids cgroup counts threads; `RLIMIT_NPROC`, which gVisor keeps for those that the host has not",
    fix=_PIDS,
)
def contains_threads(bench: Bench) -> Seen:
    """In one process."""
    with bench.probe(pids=64) as probe:
        try:
            seen = probe.ask("threads", deadline=40)["threads"]
        except AgentFailure as ended:
            return probe.has_own_kernel and not probe.wait_for_end(5).running, ended.code
    return seen < 64 + _ROOM, f"{seen} threads"


@check(
    ATTACKS,
    proves="Busy processes and threads get the share of the spec together, not a core each.",
    rests_on="the CFS quota",
    fix="Enable the cpu cgroup (CFS quota), and set it.",
)
def contains_cpu_spin(bench: Bench) -> Seen:
    """Four processes of four threads on half a core."""
    with bench.probe(cpus=0.5) as probe:
        before, started = _cpu_seconds(probe), time.monotonic()
        probe.ask("spin", seconds=2, with_threads=True)
        spent, wall = _cpu_seconds(probe) - before, time.monotonic() - started
    return 0 < spent <= 0.5 * wall * 1.3, f"{spent:.2f} CPU seconds in {wall:.2f} s"


def _cpu_seconds(probe: Probe) -> float:
    usage = probe.driver.usage(probe.handle)
    return usage.cpu_seconds if usage else 0.0


@check(
    ATTACKS,
    proves="Open files, sockets, epolls, events and inotify instances are limited.",
    rests_on="`RLIMIT_NOFILE`",
    fix="Set the hard limit of open files.",
)
def contains_open_files(bench: Bench) -> Seen:
    """Of each as many as will be."""
    with bench.probe(nofile=256) as probe:
        seen = probe.ask("descriptors")
    return all(0 <= count <= 256 for count in seen.values()), seen


@check(
    ATTACKS,
    proves="What the kernel counts by user, one sandbox cannot use up for another.",
    rests_on="a user id for each sandbox, or gVisor's own kernel",
    fix="Give each sandbox a user id of its own.",
)
def spares_neighbours_their_share(bench: Bench) -> Seen:
    """inotify instances and queued signals: one takes them all, its neighbour still needs one of each."""
    neighbour = bench.shared()
    with bench.probe(nofile=1024, memory_bytes=512 * 1024 * 1024) as probe:
        held = {**probe.ask("hold_inotifies", deadline=40), "signals": probe.ask("hold_signals")["held"]}
        seen = neighbour.ask("modest_needs")
    return set(seen.values()) == {"allowed"}, f"{seen} while one held {held}"


@check(
    ATTACKS,
    proves="A stop is a kill: nothing inside can delay it.",
    rests_on="removal is SIGKILL, without grace",
    fix="End sandboxes by SIGKILL.",
)
def kills_what_ignores_signals(bench: Bench) -> Seen:
    """The agent and detached processes of its own ignore all that can be ignored."""
    with bench.probe() as probe:
        probe.ask("ignore_signals")
        seconds = _end(probe)
        gone = not probe.state().exists
    return gone and seconds < 5, f"gone after {seconds:.2f} s"


@check(
    ATTACKS,
    proves="An agent that kills all that it can kill ends its own sandbox and nothing else.",
    rests_on="a process namespace of its own; process 1 ends with the agent",
    fix="Give the sandbox a process namespace of its own.",
)
def kills_only_itself(bench: Bench) -> Seen:
    """The neighbour goes on."""
    neighbour = bench.shared()
    with bench.probe() as probe:
        try:
            probe.ask("kill_everything", deadline=5)
        except AgentFailure as ended:
            state = probe.wait_for_end(10)
            alive = neighbour.state().running and bool(neighbour.ask("outlook"))
            return alive and not state.running, f"{ended.code}, {state}"
    return False, "it lived to tell"


@check(
    ATTACKS,
    proves="A crash leaves no core dump, neither in a file nor with the host's collector.",
    rests_on="`RLIMIT_CORE`: 0 bytes for files; 1 keeps the kernel from starting the host's collector, which would "
    "read a hostile dump as root; seccomp keeps the agent from changing it",
    fix="Set RLIMIT_CORE to 1 and use the profile sandbox/engine/seccomp.json.",
)
def leaves_no_core_dumps(bench: Bench) -> Seen:
    """core(5): with a pipe in core_pattern, a limit of 0 is not looked at, and 1 stands for “never”."""
    probe = bench.shared()
    seen = probe.ask("crash")
    limited = seen["limit"] == [1, 1] and seen["lowered"] != "allowed"
    kept = not seen["dumped"] and not seen["cores"] and (limited or probe.has_own_kernel)
    return kept, seen


@check(
    ATTACKS,
    proves="A program with too much environment is refused by the kernel, and all goes on.",
    rests_on="the kernel's own limit",
    fix="Update the kernel.",
)
def survives_huge_environment(bench: Bench) -> Seen:
    """10 MB of it."""
    probe = bench.shared()
    seen = probe.ask("huge_environment")["answer"]
    return seen in ("E2BIG", "ENAMETOOLONG") and probe.state().running, seen
