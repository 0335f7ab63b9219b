"""What belongs to the host and to other conversations cannot be read."""

from __future__ import annotations

import os

from sandbox.bench import Bench
from sandbox.conformance.registry import LOOKS, Seen, check


@check(
    LOOKS,
    proves="No secret of the host can be read: not by its path, nor through /proc, nor in anybody's environment.",
    rests_on="a mount namespace and a process namespace of its own; no descriptor of the engine is left open",
    fix="Share no namespace with the host, and mount nothing of it.",
)
def no_secrets_of_the_host(bench: Bench) -> Seen:
    """A secret lies in a file that everybody on the host may read, and in our own environment."""
    paths = [str(bench.secret_dir / "secret"), "/etc/shadow"]
    seen = bench.shared().ask("find", canary=bench.secret, paths=paths, deadline=60)
    return not seen["found"], seen["found"][:5] or "nowhere to be found"


@check(
    LOOKS,
    proves="No process of the host can be seen or signalled.",
    rests_on="a process namespace of its own",
    fix="Give the sandbox a process namespace of its own.",
)
def no_processes_of_the_host(bench: Bench) -> Seen:
    """All that is seen is ours, by its parents; the host's numbers mean nothing."""
    seen = bench.shared().ask("neighbours_of_ours", pids=[os.getpid(), os.getppid()])
    allowed = [pid for pid, answer in seen["signals"].items() if answer != "ESRCH"]
    crowd = len(seen["seen"]) > 40 or not seen["seen"].get("1", "").startswith("/run/agentstore/bin")
    return not allowed and not crowd, allowed or sorted(seen["seen"].values())[:8]


@check(
    LOOKS,
    proves="What runs cannot be overwritten from inside: process 1, its tools, the interpreter.",
    rests_on="the relay kit is mounted read-only; no program of the host's runs inside",
    fix="Mount the relay kit read-only and use an engine with the fix of CVE-2019-5736.",
)
def no_overwriting_of_programs(bench: Bench) -> Seen:
    """/proc/self/exe, /proc/1/exe, all of /run/agentstore/bin."""
    seen = bench.shared().told("executables")
    allowed = sorted(name for name, answer in seen.items() if answer == "allowed")
    return not allowed, allowed or f"{len(seen)} ways refused"
