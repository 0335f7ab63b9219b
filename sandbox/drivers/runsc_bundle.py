"""The OCI bundle of an engine-less sandbox: every option of it that isolation rests on, in one place."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

from sandbox.driver import DriverError, Launch
from sandbox.engine import relay
from sandbox.engine.seccomp import seccomp_profile
from sandbox.images.store import StoredImage
from sandbox.places import SANDBOX_UID
from sandbox.spec import MIB

# Process 1, the log's reader, two relays with their children.
RELAY_PIDS = 40
# Threads and processes of gVisor's own on the host.
GVISOR_PIDS = 256
GVISOR_BYTES = 64 * MIB
_ARCHITECTURE = platform.machine().upper()
_DAEMON = Path(relay.__file__).with_name("daemon.json")


def runsc_command(runsc: str, directory: Path, *, own_namespace: bool) -> list[str]:
    """How gVisor is called: the arguments that the Docker engine is given as well, and what an engine adds."""
    shared = json.loads(_DAEMON.read_text())["runtimes"]["runsc"]["runtimeArgs"]
    return [
        runsc, *shared, f"--root={directory / 'state'}", f"--log={directory / 'runsc.log'}",
        # The keeper has put it into a control group, or watches it.
        "--ignore-cgroups", "--overlay2=none", *(["--rootless"] if own_namespace else []),
        "run", f"--bundle={directory}", f"--pid-file={directory / 'started'}", directory.name,
    ]  # fmt: skip


def bundle_config(launch: Launch, image: StoredImage, *, root: Path, door: Path) -> dict[str, Any]:
    """The content of `config.json`. Raises DriverError for an image without a command."""
    if not image.command:
        raise DriverError("The image names no command to run.")
    spec = launch.spec
    environment = dict(line.split("=", 1) for line in image.env if "=" in line) | launch.env
    return {
        "ociVersion": "1.0.2",
        "process": {
            "args": [*relay.command(sealed=False), *image.command],
            "cwd": image.workdir or "/",
            "env": [f"{name}={value}" for name, value in environment.items()],
            "user": {"uid": SANDBOX_UID, "gid": SANDBOX_UID},
            "capabilities": {kind: [] for kind in ("bounding", "effective", "permitted", "inheritable")},
            "noNewPrivileges": True,
            "rlimits": [
                # gVisor's kernel keeps these inside.
                _rlimit("NOFILE", spec.nofile),
                _rlimit("NPROC", spec.pids + RELAY_PIDS),
                _rlimit("CORE", 1),
            ],
        },
        "root": {"path": str(root), "readonly": True},
        "hostname": "agent",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            _tmpfs("/tmp", spec.tmp_bytes, "1777"),  # noqa: S108  (inside the sandbox)
            _tmpfs("/dev/shm", 16 * MIB, "1777"),  # noqa: S108
            _tmpfs("/run/agentstore", 256 * 1024, "0755"),
            _bind(relay.MOUNTED_AT, relay.relay_kit(), "ro"),
            _bind("/run/agentstore/gateway", launch.gateway_dir, "ro"),
            _bind("/run/agentstore/agent", door, "rw"),
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
            "seccomp": _seccomp(),
        },
    }


def _seccomp() -> dict[str, Any]:
    """Our profile as OCI has it: an engine picks this machine's architecture, so we do."""
    profile = json.loads(seccomp_profile())
    ours = next(
        a["architecture"] for a in profile.pop("archMap") if a["architecture"].endswith(_ARCHITECTURE)
    )
    return {**profile, "architectures": [ours]}


def _rlimit(name: str, value: int) -> dict[str, Any]:
    return {"type": f"RLIMIT_{name}", "soft": value, "hard": value}


def _tmpfs(place: str, size: int, mode: str) -> dict[str, Any]:
    options = ["nosuid", "nodev", "noexec", f"size={size}", f"mode={mode}"]
    owner = [f"uid={SANDBOX_UID}", f"gid={SANDBOX_UID}"]
    return {"destination": place, "type": "tmpfs", "source": "tmpfs", "options": [*options, *owner]}


def _bind(place: str, source: Path, mode: str) -> dict[str, Any]:
    options = ["rbind", "rprivate", "nosuid", "nodev", mode]
    return {"destination": place, "type": "bind", "source": str(source), "options": options}
