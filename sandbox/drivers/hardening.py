"""How the docker driver shuts a container in: every option that isolation rests on, in one place.

docs/operations/sandbox.md says what each is for; the conformance suite tries each from inside.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from docker.types import LogConfig, Mount, Ulimit

from sandbox.driver import Launch
from sandbox.engine import relay
from sandbox.engine.seccomp import seccomp_profile
from sandbox.places import sandbox_uid
from sandbox.spec import MIB

SANDBOX_LABEL = "agentstore.sandbox"
STACK_LABEL = "agentstore.stack"
# Process 1, the log's reader and its writer, the relay.
_RELAY_PIDS = 8
# gVisor's own processes are in the container's cgroup.
_GVISOR_PIDS = 256
_GVISOR_BYTES = 64 * MIB
_INODE_BYTES = 4096
_PERIOD_MICROSECONDS = 100_000


def container_name(sandbox_id: uuid.UUID) -> str:
    """One name for one sandbox, so that two starts of it can't both succeed."""
    return f"agentstore-{sandbox_id.hex}"


def tmpfs(size: int, *, uid: int, mode: str = "1777", extra: str = "noexec,nosuid,nodev") -> str:
    """Options of a tmpfs that is bounded in bytes and in files: either alone can be exhausted by the other.

    It belongs to the sandbox's user: where the image has the directory, runc keeps that directory's mode.
    """
    files = max(64, size // _INODE_BYTES)
    return f"rw,{extra},size={size},nr_inodes={files},mode={mode},uid={uid},gid={uid}"


def container_options(launch: Launch, *, image: str, runtime: str, command: list[str]) -> dict[str, Any]:
    """Arguments of `containers.create`; `image` is the engine's own id of the launch's image."""
    spec, uid = launch.spec, sandbox_uid(launch.sandbox_id)
    gvisor = runtime != "runc"
    memory = spec.memory_bytes + (_GVISOR_BYTES if gvisor else 0)
    processes = spec.pids + _RELAY_PIDS
    # gVisor's threads are not all the host's, so its own kernel counts them; elsewhere the cgroup speaks first, since
    # it alone keeps count of what it refused.
    most = processes if gvisor else 2 * processes
    writable = {
        "/tmp": tmpfs(spec.tmp_bytes, uid=uid),  # noqa: S108  (inside the sandbox)
        "/dev/shm": tmpfs(16 * MIB, uid=uid),  # noqa: S108
        "/run/agentstore": tmpfs(256 * 1024, uid=uid, mode="0755"),
        # In place of the engine's own, whose queues would be another thing to fill.
        "/dev/mqueue": "ro,noexec,nosuid,nodev,size=4k,nr_inodes=2,mode=0555",
    }
    return {
        "image": image,
        "entrypoint": relay.command(sealed=not gvisor),
        "command": command,
        "name": container_name(launch.sandbox_id),
        "labels": {SANDBOX_LABEL: str(launch.sandbox_id), STACK_LABEL: launch.stack},
        "environment": launch.env,
        "runtime": runtime,
        "user": f"{uid}:{uid}",
        "hostname": "agent",
        "network_mode": "none",
        "ipc_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true", f"seccomp={seccomp_profile()}"],
        "mem_limit": memory,
        "memswap_limit": memory,
        "cpu_period": _PERIOD_MICROSECONDS,
        "cpu_quota": int(spec.cpus * _PERIOD_MICROSECONDS),
        "pids_limit": processes + (_GVISOR_PIDS if gvisor else 0),
        "ulimits": [
            Ulimit(name="nofile", soft=spec.nofile, hard=spec.nofile),
            Ulimit(name="nproc", soft=most, hard=most),
            # 0 would only keep dumps out of files: 1 also keeps the kernel from starting the host's collector.
            Ulimit(name="core", soft=1, hard=1),
        ],
        "tmpfs": writable,
        "mounts": [
            _bind(relay.MOUNTED_AT, relay.relay_kit(), read_only=True),
            _bind("/run/agentstore/gateway", launch.gateway_dir, read_only=True),
            _bind("/run/agentstore/agent", launch.door_dir, read_only=False),
        ],
        # What is printed goes to a ring on the sandbox's own tmpfs (engine/init.sh), not through the engine.
        "log_config": LogConfig(type="none"),
        "healthcheck": {"test": ["NONE"]},
        "stop_signal": "SIGKILL",
        "detach": True,
    }


def _bind(target: str, source: Path, *, read_only: bool) -> Mount:
    return Mount(target=target, source=str(source), type="bind", read_only=read_only, propagation="rprivate")
