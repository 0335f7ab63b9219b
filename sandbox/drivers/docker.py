"""Sandboxes in a Docker engine, with runc (hardened) or gVisor as their runtime."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import Any

from django.conf import settings
from docker.errors import APIError, NotFound

from sandbox.driver import (
    DriverError,
    Finding,
    Found,
    Launch,
    NoDriver,
    RunState,
    Started,
    Usage,
)
from sandbox.drivers.cgroups import strain_of
from sandbox.drivers.docker_images import EngineImages
from sandbox.drivers.hardening import SANDBOX_LABEL, STACK_LABEL, container_name, container_options
from sandbox.engine.client import engine_client, engine_errors, wanted_arguments
from sandbox.images.store import get_image
from sandbox.spec import Trust
from sandbox.strain import Strain


class DockerDriver:
    """The default where an engine runs."""

    name = "docker"

    def __init__(self) -> None:
        self._client = engine_client()
        with engine_errors():
            self._info: dict[str, Any] = self._client.info()
        self._images = EngineImages(self._client)

    def runtime_for(self, trust: Trust) -> str:
        """SANDBOX_REVIEWED_RUNTIME or SANDBOX_UNTRUSTED_RUNTIME. Raises NoDriver when the engine has it
        not.
        """
        wanted = (
            settings.SANDBOX_REVIEWED_RUNTIME
            if trust == Trust.REVIEWED
            else settings.SANDBOX_UNTRUSTED_RUNTIME
        )
        if wanted not in self._info.get("Runtimes", {}):
            raise NoDriver(
                f"The container engine has no runtime {wanted!r} for {trust} code.",
                hint="Run scripts/setup_engine.sh, or choose another runtime (docs/operations/sandbox.md).",
            )
        return str(wanted)

    def facts(self) -> list[Finding]:
        """What the engine says of itself: the limits and filters that the isolation rests on."""
        info = self._info
        options = " ".join(info.get("SecurityOptions") or [])
        told = [
            (
                "linux",
                info.get("OSType") == "linux",
                f"the engine runs on {info.get('OSType')}",
                "Use Linux.",
            ),
            (
                "seccomp",
                "seccomp" in options,
                options or "no security options",
                "Use an engine with seccomp.",
            ),
            ("memory_limit", bool(info.get("MemoryLimit")), "memory cgroup", "Enable the memory cgroup."),
            ("pids_limit", bool(info.get("PidsLimit")), "pids cgroup", "Enable the pids cgroup."),
            ("cpu_limit", bool(info.get("CpuCfsQuota")), "cpu cgroup", "Enable the cpu cgroup (CFS quota)."),
        ]
        for trust in Trust:
            try:
                runtime, there = self.runtime_for(trust), True
            except NoDriver as missing:
                runtime, there = missing.message, False
            told.append((f"runtime_{trust}", there, runtime, "Run scripts/setup_engine.sh."))
            if there and runtime != "runc":
                missing_arguments = sorted(wanted_arguments() - self._arguments_of(runtime))
                told.append(
                    (
                        f"runtime_{trust}_arguments", not missing_arguments,
                        f"without {missing_arguments}" if missing_arguments else "as we set it up",
                        "Run scripts/setup_engine.sh: it merges sandbox/engine/daemon.json.",
                    )
                )  # fmt: skip
        return [Finding(name, kept, detail, "" if kept else fix) for name, kept, detail, fix in told]

    def ensure_image(self, image_id: str) -> None:
        """See the contract."""
        self._images.ensure(get_image(image_id))

    def keep_images(self, keep: Collection[str]) -> int:
        """See the contract."""
        return self._images.keep(keep)

    def _arguments_of(self, runtime: str) -> set[str]:
        return set(self._info["Runtimes"][runtime].get("runtimeArgs") or [])

    def start(self, launch: Launch) -> Started:
        """Create and start. See the contract."""
        runtime = self.runtime_for(launch.spec.trust)
        image = get_image(launch.spec.image_id)
        if not image.command:
            raise DriverError("The image names no command to run.")
        options = container_options(
            launch, image=self._images.ensure(image), runtime=runtime, command=list(image.command)
        )
        self.stop(options["name"])
        with engine_errors():
            container = self._client.containers.create(**options)
            try:
                container.start()
            except APIError:
                container.remove(force=True, v=True)
                raise
        return Started(handle=str(container.id), runtime=runtime)

    def handle_of(self, sandbox_id: uuid.UUID) -> str:
        """The container's name, which is made from the id."""
        return container_name(sandbox_id)

    def state(self, handle: str) -> RunState:
        """See the contract. The engine's OOM flag is set by a child's death too: it counts for an ended
        one only.
        """
        with engine_errors():
            try:
                found = self._client.api.inspect_container(handle)["State"]
            except NotFound:
                return RunState(exists=False)
        running = bool(found["Running"])
        code = None if running else int(found["ExitCode"])
        killed = not running and bool(found["OOMKilled"]) and code not in (0, None)
        return RunState(exists=True, running=running, exit_code=code, out_of_memory=killed)

    def stop(self, handle: str) -> None:
        """SIGKILL and removal in one call, anonymous volumes included."""
        with engine_errors():
            try:
                self._client.api.remove_container(handle, force=True, v=True)
            except NotFound:
                return
            except APIError as refused:
                # Another call is removing it at this moment.
                if refused.status_code != 409:
                    raise

    def usage(self, handle: str) -> Usage | None:
        """The cgroup's word, page cache left out."""
        with engine_errors():
            try:
                told = self._client.api.stats(handle, stream=False, one_shot=True)
            except NotFound:
                return None
        memory = told.get("memory_stats") or {}
        if "usage" not in memory:
            return None
        cache = (memory.get("stats") or {}).get("total_inactive_file", 0)
        return Usage(
            memory_bytes=memory["usage"] - cache,
            cpu_seconds=told["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        )

    def strain(self, handle: str) -> Strain:
        """Read from the cgroup of its first process, where the engine runs on this host."""
        with engine_errors():
            try:
                found = self._client.api.inspect_container(handle)
            except NotFound:
                return Strain()
        pid, runtime = found["State"]["Pid"], found["HostConfig"]["Runtime"]
        return strain_of(pid, sees_inside=runtime == "runc") if pid else Strain()

    def list_sandboxes(self, stack: str) -> Sequence[Found]:
        """By labels."""
        with engine_errors():
            rows = self._client.api.containers(all=True, filters={"label": f"{STACK_LABEL}={stack}"})
        return [
            Found(
                handle=row["Id"],
                sandbox_id=uuid.UUID(row["Labels"][SANDBOX_LABEL]),
                running=row["State"] == "running",
            )
            for row in rows
        ]
