"""What every driver must keep, as checks that run a hostile program inside and look at what it got.

A check is a function from a `Bench` to a `Finding`. The tests run them all; `manage.py sandbox_doctor` runs
those that cost one start, and a driver is chosen only when they hold.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from sandbox import doors
from sandbox.bench import Bench, Probe
from sandbox.driver import Finding
from sandbox.failures import AgentFailure
from sandbox.places import SANDBOX_UID, door_dir
from sandbox.spec import MIB

Check = Callable[[Bench], Finding]
METADATA = ("169.254.169.254", 80)
_FIX = "See docs/operations/sandbox.md, “What each property rests on”."


def _finding(name: str, kept: bool, detail: object) -> Finding:
    return Finding(name=name, kept=kept, detail=str(detail)[:300], fix="" if kept else _FIX)


def look_around(bench: Bench) -> list[Finding]:
    """All properties that one probe can tell of without doing harm."""
    with bench.probe() as probe:
        return [
            Finding("starts", True, f"{probe.runtime} answers"),
            *identity(probe), *network(probe), *kernel(probe), *gateway(probe),
        ]  # fmt: skip


def identity(probe: Probe) -> Iterator[Finding]:
    """No root, no capabilities, nothing to write to, no way to more rights."""
    seen = probe.ask("outlook")
    yield _finding("no_root", seen["uid"] == SANDBOX_UID and 0 not in seen["groups"], f"uid {seen['uid']}")
    yield _finding("no_capabilities", seen["capabilities"] == 0, f"{seen['capabilities']:#x}")
    # gVisor keeps no_new_privs itself and has a kernel of its own in place of a filter.
    hardened = probe.runtime != "runc" or (seen["no_new_privileges"] == "1" and seen["seccomp"] == "2")
    yield _finding("no_new_privileges", hardened, f"{seen['no_new_privileges']}, seccomp {seen['seccomp']}")
    yield _finding("root_read_only", not seen["writable"], seen["writable"] or "nothing can be written")
    yield _finding("no_engine_socket", not seen["engine_sockets"], seen["engine_sockets"] or "none")
    yield _finding("no_devices", not seen["disks"], seen["disks"] or "none")
    yield _finding("no_setuid_files", not seen["setuid_files"], seen["setuid_files"][:5] or "none")
    yield _finding("loopback_only", set(seen["interfaces"]) <= {"lo"}, seen["interfaces"])


def network(probe: Probe) -> Iterator[Finding]:
    """Not the host's ports on any of its addresses, not the metadata service, no names, no IPv6."""
    with _listener() as port:
        addresses = {"127.0.0.1", "::1", "172.17.0.1", "10.0.2.2", "192.168.65.254"}
        for interface in psutil.net_if_addrs().values():
            found = [a for a in interface if a.family in (socket.AF_INET, socket.AF_INET6)]
            addresses |= {a.address.split("%")[0] for a in found}
        targets = [(address, port) for address in sorted(addresses)]
        targets += [METADATA, ("fd00:ec2::254", 80), ("1.1.1.1", 53), ("2606:4700:4700::1111", 53)]
        names = ["example.com", "host.docker.internal", "metadata.google.internal", socket.gethostname()]
        seen = probe.ask("network", targets=targets, names=names, deadline=60)
    yield _finding(
        "no_network", not seen["reached"], seen["reached"] or f"{len(targets)} addresses out of reach"
    )
    yield _finding("no_names", not seen["resolved"], seen["resolved"] or "no name resolves")
    made = probe.ask("sockets")["made"]
    yield _finding("no_foreign_sockets", not made, made or "none can be made")


def kernel(probe: Probe) -> Iterator[Finding]:
    """Calls that widen what a program can do to the kernel. In gVisor some act on its own kernel, in the
    sandbox.
    """
    seen = probe.ask("system_calls")
    virtual = {"unshare_user", "unshare_net", "ptrace_init", "keyctl"} if probe.runtime == "runsc" else set()
    allowed = sorted(name for name, answer in seen.items() if answer == "allowed" and name not in virtual)
    yield _finding("no_dangerous_calls", not allowed, allowed or seen)


def gateway(probe: Probe) -> Iterator[Finding]:
    """The one door out: the gateway, which sees the run token."""
    seen = probe.ask("gateway", path="/v1/whoami")
    kept = seen["status"] == 200 and probe.token in seen["body"]
    yield _finding("gateway_reachable", kept, f"status {seen['status']}")
    named = kept and json.loads(seen["body"])["caller"] == probe.id.hex
    yield _finding("token_bound_to_sandbox", named, "the socket names the sandbox")
    configuration = probe.ask("read", path="/run/agentstore/mcp.json").get("text", "")
    yield _finding(
        "mcp_configuration", probe.token in configuration, "mcp.json names the gateway and the token"
    )


def contains_fork_bomb(bench: Bench) -> Finding:
    """Processes are limited, and the sandbox can be ended afterwards."""
    with bench.probe(pids=64) as probe:
        try:
            seen = probe.ask("fork_bomb", deadline=40)
        except AgentFailure as ended:
            # gVisor ends the whole sandbox when the host refuses it a thread.
            return _finding("contains_fork_bomb", not probe.wait_for_end(5).running, ended.code)
    limit = 64 + 300
    return _finding("contains_fork_bomb", seen["processes"] < limit, f"{seen['processes']} processes")


def contains_memory_hog(bench: Bench) -> Finding:
    """More memory than allowed ends the sandbox, and nothing else."""
    with bench.probe(memory_bytes=128 * MIB) as probe:
        try:
            seen = probe.ask("memory_hog", deadline=60)
        except AgentFailure:
            state = probe.wait_for_end(5)
            return _finding("contains_memory_hog", not state.running, state)
    return _finding("contains_memory_hog", False, f"took {seen['bytes']} bytes")


def contains_disk_fill(bench: Bench) -> Finding:
    """Both places that can be written to are bounded in bytes and in files."""
    with bench.probe(tmp_bytes=8 * MIB, memory_bytes=256 * MIB) as probe:
        seen = {
            "tmp": probe.ask("fill", directory="/tmp")["bytes"],  # noqa: S108  (inside the sandbox)
            "door": probe.ask("fill", directory="/run/agentstore/agent")["bytes"],
            "files": probe.ask("many_files", directory="/tmp", limit=20_000, deadline=60)["files"],  # noqa: S108
        }
        usage = probe.driver.usage(probe.handle)
    # gVisor's own tmpfs counts no files: there they cost the sandbox's memory, which is bounded.
    bounded = usage is not None and usage.memory_bytes < 330 * MIB
    files = seen["files"] <= 8 * MIB // 4096 or (probe.runtime == "runsc" and bounded)
    kept = 7 * MIB <= seen["tmp"] <= 8 * MIB and seen["door"] <= MIB and files
    return _finding("contains_disk_fill", kept, seen)


def contains_cpu_spin(bench: Bench) -> Finding:
    """Four busy processes get the share of the spec, not four cores."""
    with bench.probe(cpus=0.5) as probe:
        before, started = _cpu_seconds(probe), time.monotonic()
        probe.ask("spin", seconds=2)
        spent, wall = _cpu_seconds(probe) - before, time.monotonic() - started
    return _finding(
        "contains_cpu_spin", spent <= 0.5 * wall * 1.3, f"{spent:.2f} CPU seconds in {wall:.2f} s"
    )


def _cpu_seconds(probe: Probe) -> float:
    usage = probe.driver.usage(probe.handle)
    return usage.cpu_seconds if usage else 0.0


def contains_open_files(bench: Bench) -> Finding:
    """Open files are limited."""
    with bench.probe(nofile=256) as probe:
        seen = probe.ask("open_files")["files"]
    return _finding("contains_open_files", seen <= 256, f"{seen} files")


def contains_log_flood(bench: Bench) -> Finding:
    """A flood stays on the sandbox's own tmpfs, is paid by its own CPU share, and leaves it answering."""
    engine = [p for p in psutil.process_iter(["name"]) if p.info["name"] == "dockerd"]
    before = sum(sum(p.cpu_times()[:2]) for p in engine)
    with bench.probe(cpus=0.5) as probe:
        started = time.monotonic()
        probe.ask("log_flood", seconds=2)
        burnt = sum(sum(p.cpu_times()[:2]) for p in engine) - before
        wall = time.monotonic() - started
        size = sum(entry.stat().st_size for entry in door_dir(probe.id).glob("log*"))
        tail = doors.read_log(probe.id)
        alive = probe.state().running
    kept = alive and size <= MIB and "flood" in tail and burnt < wall * 0.4
    return _finding(
        "contains_log_flood", kept, f"{size} bytes kept, engine spent {burnt:.2f} s of {wall:.2f} s"
    )


def kills_what_ignores_signals(bench: Bench) -> Finding:
    """A stop is a kill: nothing in the sandbox can delay it."""
    with bench.probe() as probe:
        probe.ask("ignore_signals")
        before = time.monotonic()
        bench.driver.stop(probe.handle)
        seconds = time.monotonic() - before
        gone = not probe.state().exists
    return _finding("kills_what_ignores_signals", gone and seconds < 5, f"gone after {seconds:.2f} s")


def refuses_swapped_socket(bench: Bench) -> Finding:
    """A link in the socket's place is not followed: the host's own sockets stay out of reach."""
    with bench.probe() as probe:
        probe.ask("swap_socket", target=str(bench.gateways / probe.id.hex / "gateway.sock"))
        answering = doors.local_door(probe.id).is_answering()
    return _finding("refuses_swapped_socket", not answering, "the link was not followed")


def hides_neighbours(bench: Bench) -> Finding:
    """Two sandboxes side by side: neither can reach the other's port, socket or files."""
    with bench.probe() as one, bench.probe() as other:
        for probe in (one, other):
            seen = probe.ask("read", path=str(door_dir((other if probe is one else one).id) / "log"))
            if "text" in seen:
                return _finding("hides_neighbours", False, "a neighbour's log can be read")
        seen = one.ask("network", targets=[("172.17.0.2", 8080), ("172.17.0.3", 8080)], names=["agent-2"])
        configuration = one.ask("read", path="/run/agentstore/mcp.json").get("text", "")
    kept = not seen["reached"] and other.token not in configuration
    return _finding("hides_neighbours", kept, seen["reached"] or "out of reach")


ATTACKS: tuple[Check, ...] = (
    contains_fork_bomb,
    contains_memory_hog,
    contains_disk_fill,
    contains_cpu_spin,
    contains_open_files,
    contains_log_flood,
    kills_what_ignores_signals,
    refuses_swapped_socket,
    hides_neighbours,
)


@contextmanager
def _listener() -> Iterator[int]:
    """A port on all addresses of the host."""
    with socket.socket(socket.AF_INET6) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", 0))
        server.listen()
        yield server.getsockname()[1]
