"""The files of one sandbox's directory: what the driver orders, what the keeper says came of it.

order.json    what to run and within which limits; written before the keeper starts
config.json   the OCI bundle's
lock          held by the keeper as long as it lives; by the driver before that, and to remove it all
keeper        the keeper's process id
started       gVisor's process id, once the sandbox is there
ended.json    what became of it; there is none when the keeper was killed
door/         the door's tmpfs is mounted here, where only the keeper and its children see it
last/         the end of the log, once that tmpfs is gone
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

KILLED = 137


@dataclass(frozen=True)
class Order:
    """One sandbox. `cgroup_roots` is empty where the watchdog keeps the limits. With `own_namespace` the
    keeper first makes a user namespace, and the door is a tmpfs in it. Sizes are in bytes, `cpus` in cores.
    """

    stack: str
    sandbox_id: str
    image_id: str
    command: list[str]
    door: str
    cgroup_roots: dict[str, str]
    cgroup_name: str
    own_namespace: bool
    memory_bytes: int
    cpus: float
    pids: int


@dataclass(frozen=True)
class Ended:
    """What became of it. `trouble` is gVisor's own word where nothing was ever started."""

    exit_code: int
    out_of_memory: bool = False
    trouble: str = ""


def write_order(directory: Path, order: Order) -> None:
    """For the keeper."""
    (directory / "order.json").write_text(json.dumps(asdict(order)))


def read_order(directory: Path) -> Order:
    """Raises OSError or ValueError where there is none."""
    return Order(**json.loads((directory / "order.json").read_text()))


def write_ended(directory: Path, ended: Ended) -> None:
    """Whole or not at all."""
    fresh = directory / "ended.new"
    fresh.write_text(json.dumps(asdict(ended)))
    fresh.rename(directory / "ended.json")


def read_ended(directory: Path) -> Ended | None:
    """None where the keeper did not come to write it."""
    try:
        told: dict[str, Any] = json.loads((directory / "ended.json").read_text())
    except FileNotFoundError:
        return None
    return Ended(**told)


def read_number(directory: Path, name: str) -> int | None:
    """The process id in `keeper` or `started`."""
    try:
        return int((directory / name).read_text())
    except (FileNotFoundError, ValueError):
        return None


def take_lock(directory: Path) -> int | None:
    """The descriptor that holds the lock, or None while somebody else holds it. Raises FileNotFoundError."""
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_held(directory: Path) -> bool:
    """Whether the keeper lives."""
    try:
        descriptor = take_lock(directory)
    except (FileNotFoundError, NotADirectoryError):
        return False
    if descriptor is None:
        return True
    os.close(descriptor)
    return False
