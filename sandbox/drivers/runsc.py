"""Sandboxes without a container engine: gVisor, one keeper process each, and files that say what runs.

Nothing is known by memory alone: whatever process asks finds the sandboxes of a stack by their directories
(sandbox/keeper/orders.py), and that one lives by the lock that its keeper holds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from django.conf import settings

from sandbox.driver import DriverError, Finding, Found, Launch, RunState, Started, Usage
from sandbox.drivers import runsc_roots
from sandbox.drivers.cgroups import strain_of
from sandbox.drivers.runsc_bundle import (
    GVISOR_BYTES,
    GVISOR_PIDS,
    RELAY_PIDS,
    bundle_config,
    runsc_command,
)
from sandbox.drivers.runsc_end import remove_sandbox, sweep
from sandbox.drivers.runsc_facts import look_at_host
from sandbox.keeper import cgroups, orders, processes
from sandbox.spec import Trust
from sandbox.strain import Strain

_START_SECONDS = 60


class RunscDriver:
    """The default where no engine runs. As root, control groups keep the limits; otherwise a watchdog does.

    `use_cgroups` False leaves them alone even where they could be used.
    """

    name = "runsc"

    def __init__(self, *, use_cgroups: bool = True) -> None:
        found = shutil.which("runsc")
        if found is None:
            raise DriverError(
                "gVisor (runsc) is not installed.", hint="Run scripts/setup_engine.sh, or install runsc."
            )
        self._runsc = found
        root = os.geteuid() == 0
        self._cgroup_roots = cgroups.find_roots() if root and use_cgroups else {}
        self._own_namespace = not root

    def runtime_for(self, trust: Trust) -> str:
        """gVisor, whatever the trust."""
        return "runsc"

    def facts(self) -> list[Finding]:
        """What the limits rest on here."""
        return look_at_host(self._runsc, self._cgroup_roots, own_namespace=self._own_namespace)

    def ensure_image(self, image_id: str) -> None:
        """Unpack it, once."""
        runsc_roots.ensure_root(image_id)

    def keep_images(self, keep: Collection[str]) -> int:
        """Remove the unpacked roots of other images, except what a sandbox runs on."""
        in_use = {orders.read_order(directory).image_id for directory in self._directories()}
        return runsc_roots.remove_roots(keep, in_use=in_use)

    def start(self, launch: Launch) -> Started:
        """Unpack, write down what to run, and leave it to a keeper. See the contract."""
        handle = self.handle_of(launch.sandbox_id)
        self.stop(handle)
        image, root = runsc_roots.ensure_root(launch.spec.image_id)
        directory = _home() / handle
        fresh = directory.with_name(f".new-{handle}-{uuid.uuid4().hex[:8]}")
        fresh.mkdir(parents=True)
        door = directory / "door" if self._own_namespace else launch.door_dir
        config = bundle_config(launch, image, root=root, door=door)
        (fresh / "config.json").write_text(json.dumps(config))
        orders.write_order(fresh, self._order(launch, directory))
        lock = orders.take_lock(fresh)
        if lock is None:
            raise AssertionError("nobody else knows of this directory yet")
        try:
            try:
                fresh.rename(directory)
            except OSError as there:
                shutil.rmtree(fresh, ignore_errors=True)
                raise DriverError("Another start of this sandbox is under way.") from there
            trouble = self._leave_to_keeper(directory, lock)
        finally:
            os.close(lock)
        if trouble:
            self.stop(handle)
            raise DriverError(f"gVisor did not start the sandbox: {trouble.strip()[:400]}")
        return Started(handle=handle, runtime="runsc")

    def _order(self, launch: Launch, directory: Path) -> orders.Order:
        spec = launch.spec
        return orders.Order(
            stack=launch.stack, sandbox_id=str(launch.sandbox_id), image_id=spec.image_id,
            command=runsc_command(self._runsc, directory, own_namespace=self._own_namespace),
            door=str(launch.door_dir), cgroup_roots=self._cgroup_roots, cgroup_name=directory.name,
            own_namespace=self._own_namespace, memory_bytes=spec.memory_bytes + GVISOR_BYTES,
            cpus=spec.cpus, pids=spec.pids + RELAY_PIDS + GVISOR_PIDS,
        )  # fmt: skip

    def _leave_to_keeper(self, directory: Path, lock: int) -> str:
        """Returns when gVisor runs, or with its own word when it does not."""
        command = [sys.executable, "-E", "-s", "-S", "-m", "sandbox.keeper", str(directory), str(lock)]
        try:
            with (directory / "keeper.log").open("wb") as log:
                # No variable of ours: who looks for our processes by those must not find the sandboxes.
                done = subprocess.run(  # noqa: S603  (our own program)
                    command, cwd=settings.BASE_DIR, env={"PATH": os.defpath}, pass_fds=[lock],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=_START_SECONDS, check=False,
                )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as failed:
            return str(failed)
        if done.returncode == 0:
            return ""
        ended = orders.read_ended(directory)
        told = ended.trouble if ended else (directory / "keeper.log").read_text(errors="replace")
        return told or "it did not say why"

    def handle_of(self, sandbox_id: uuid.UUID) -> str:
        """The name of its directory, which is made from the id."""
        return sandbox_id.hex

    def state(self, handle: str) -> RunState:
        """By its lock, then by what its keeper wrote. One whose keeper was killed was killed with it."""
        directory = _place(handle)
        if directory is None:
            return RunState(exists=False)
        held = orders.is_held(directory)
        ended = orders.read_ended(directory)
        if ended is not None:
            return RunState(True, exit_code=ended.exit_code, out_of_memory=ended.out_of_memory)
        if held:
            return RunState(True, running=True)
        return RunState(directory.is_dir(), exit_code=orders.KILLED)

    def stop(self, handle: str) -> None:
        """SIGKILL to all of gVisor's processes, by its keeper where that lives; then its directory goes."""
        directory = _place(handle)
        if directory is not None:
            remove_sandbox(directory)

    def usage(self, handle: str) -> Usage | None:
        """The control group's word, or what the watchdog would see."""
        directory = _place(handle)
        if directory is None or not orders.is_held(directory):
            return None
        try:
            order = orders.read_order(directory)
            if order.cgroup_roots:
                group = cgroups.Cgroup(order.cgroup_roots, order.cgroup_name)
                return Usage(memory_bytes=group.memory_bytes(), cpu_seconds=group.cpu_seconds())
            keeper = orders.read_number(directory, "keeper")
        except OSError:
            return None
        if keeper is None:
            return None
        sandbox = orders.read_number(directory, "started")
        return Usage(
            memory_bytes=processes.memory_bytes(keeper, sandbox),
            cpu_seconds=processes.cpu_seconds(processes.descendants(keeper)),
        )

    def strain(self, handle: str) -> Strain:
        """The control group's counts; gVisor shows nothing of what the agent's own processes met."""
        directory = _place(handle)
        if directory is None or not orders.is_held(directory):
            return Strain()
        sandbox = orders.read_number(directory, "started")
        return strain_of(sandbox, sees_inside=False) if sandbox else Strain()

    def list_sandboxes(self, stack: str) -> Sequence[Found]:
        """By their directories."""
        sweep(_home())
        found = []
        for directory in self._directories():
            try:
                order = orders.read_order(directory)
            except OSError:
                continue  # it is being removed at this moment
            if order.stack == stack:
                sandbox_id = uuid.UUID(order.sandbox_id)
                found.append(Found(directory.name, sandbox_id, running=self.state(directory.name).running))
        return found

    def _directories(self) -> Iterator[Path]:
        for directory in sorted(_home().glob("*")):
            if not directory.name.startswith("."):
                yield directory


def _home() -> Path:
    return Path(settings.RUN_DIR) / "runsc"


def _place(handle: str) -> Path | None:
    """The directory of a handle, None where there is none or where the handle is another driver's."""
    try:
        name = uuid.UUID(hex=handle).hex
    except ValueError:
        return None
    directory = _home() / name
    return directory if directory.is_dir() else None
