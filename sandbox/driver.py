"""The contract that every driver keeps. `sandbox.conformance` is its executable half.

A driver runs an image as a hostile program: no network but loopback, no root, a read-only root file system,
no new privileges, limits on memory, CPU, processes, open files and disk, and two doors only
(docs/guides/container-contract.md). Only Celery tasks of the `sandbox` queue and management commands hold a
driver; the web process never does.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agentstore.kit.errors import Unavailable
from sandbox.spec import RunSpec, Trust
from sandbox.strain import Strain


class DriverError(Unavailable):
    """The engine answered with an error or not at all. Ours to repair; trying again may work."""

    code = "engine_error"


class NoDriver(Unavailable):
    """No driver can run this here with its isolation proven, so third-party agents are refused."""

    code = "no_driver"


class ImageMissing(DriverError):
    """The store has no image of that id."""

    code = "image_missing"


@dataclass(frozen=True, slots=True)
class Launch:
    """One sandbox to be: its spec, its two doors, and the environment that the contract promises."""

    sandbox_id: uuid.UUID
    spec: RunSpec
    stack: str
    door_dir: Path
    gateway_dir: Path
    env: dict[str, str]


@dataclass(frozen=True, slots=True)
class Started:
    """What a start gives: the driver's handle and the runtime that was chosen."""

    handle: str
    runtime: str


@dataclass(frozen=True, slots=True)
class RunState:
    """What the engine says of one sandbox. `out_of_memory` only when the whole sandbox died of it."""

    exists: bool
    running: bool = False
    exit_code: int | None = None
    out_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What a sandbox costs its host: bytes now, CPU seconds since its start."""

    memory_bytes: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Found:
    """A sandbox that the engine has, by its labels."""

    handle: str
    sandbox_id: uuid.UUID
    running: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """One isolation property: kept or broken, what was seen, and how to repair it."""

    name: str
    kept: bool
    detail: str
    fix: str = ""


class Driver(Protocol):
    """Runs sandboxes. Every method may raise DriverError; all are safe to repeat."""

    name: str

    def runtime_for(self, trust: Trust) -> str:
        """The runtime for that much trust. Raises NoDriver when the operator's choice is not installed."""

    def facts(self) -> list[Finding]:
        """What can be known of the isolation without running anything."""

    def ensure_image(self, image_id: str) -> None:
        """Make an image of the store (`images.store`) runnable here; quick when it is. Raises ImageMissing."""

    def keep_images(self, keep: Collection[str]) -> int:
        """Forget every image that `ensure_image` of this installation brought here and that is not in `keep`.

        The number of those that went. One that a sandbox runs stays until the sandbox has gone.
        """

    def start(self, launch: Launch) -> Started:
        """Make and start the sandbox; it may not be ready yet. A leftover of the same id is removed first.

        Calls `ensure_image` itself. Raises ImageMissing when the store does not have the image, NoDriver when
        its runtime is not installed.
        """

    def handle_of(self, sandbox_id: uuid.UUID) -> str:
        """A handle that finds the sandbox of this id, for a start that was lost before its handle was
        stored.
        """

    def state(self, handle: str) -> RunState:
        """What has become of it. A handle that nothing is known of gives `exists=False`, no error."""

    def stop(self, handle: str) -> None:
        """Kill it and all its processes at once and remove it. It gets no time to object. Idempotent."""

    def usage(self, handle: str) -> Usage | None:
        """What it holds and has used, None when it is gone."""

    def strain(self, handle: str) -> Strain:
        """How hard it has pressed against its limits since its start; what can't be counted is left unknown,
        all of it once its processes are gone. `drivers.cgroups.strain_of` reads it by a process's id.
        """

    def list_sandboxes(self, stack: str) -> Sequence[Found]:
        """All sandboxes of a stack, running or not."""
