"""What the isolation of an engine-less sandbox rests on at this host, before anything runs."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

from sandbox.driver import Finding

# The platform `systrap` is in all releases since then.
_OLDEST = "20230501"


def look_at_host(runsc: str, cgroup_roots: dict[str, str], *, own_namespace: bool) -> list[Finding]:
    """The limits by name, who keeps each, and what this kernel has to have for it."""
    release = _release(runsc)
    told = [
        ("linux", platform.system() == "Linux", platform.system(), "Use Linux."),
        (
            "gvisor",
            release >= _OLDEST,
            f"release {release or 'unknown'}",
            "Install runsc of 2023 or later (Debian 12: from bookworm-backports).",
        ),
    ]
    if own_namespace:
        there = _may_make_namespaces()
        told.append(
            (
                "user_namespaces",
                there,
                "the sandbox and its door's tmpfs are in a user namespace",
                "Let ordinary users make user namespaces (user.max_user_namespaces, AppArmor), or run the "
                "sandbox worker as root.",
            )
        )
    if cgroup_roots:
        version = 2 if len(set(cgroup_roots.values())) == 1 else 1
        told += [
            ("memory_limit", True, f"memory cgroup, version {version}", ""),
            ("cpu_limit", True, f"cpu cgroup, version {version}: CFS quota", ""),
            ("pids_limit", True, f"gVisor's RLIMIT_NPROC; pids cgroup, version {version}", ""),
        ]
    else:
        sees = Path(f"/proc/self/task/{os.getpid()}/children").exists()
        fix = "Use a kernel with CONFIG_PROC_CHILDREN, or run the sandbox worker as root with control groups."
        told += [
            ("memory_limit", sees, "a watchdog that looks every 20 to 100 ms and kills", fix),
            ("cpu_limit", sees, "a watchdog that stops and continues the sandbox", fix),
            ("pids_limit", True, "gVisor's RLIMIT_NPROC", ""),
        ]
    return [Finding(name, kept, detail, "" if kept else fix) for name, kept, detail, fix in told]


def _release(runsc: str) -> str:
    """The day of gVisor's release, as YYYYMMDD; empty where it does not say."""
    try:
        told = subprocess.run(  # noqa: S603  (found on PATH, no argument of anybody's)
            [runsc, "--version"], capture_output=True, text=True, timeout=20, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"\b(20\d{6})\b", told)
    return found.group(1) if found else ""


def _may_make_namespaces() -> bool:
    try:
        return int(Path("/proc/sys/user/max_user_namespaces").read_text()) > 0
    except (OSError, ValueError):
        return False
