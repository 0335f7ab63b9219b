"""What a version may use: what its manifest asks for, within what this store's operator allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Limit:
    """One line of `[resources]`: its default, the least that makes sense, its unit in words."""

    name: str
    label: str
    unit: str
    default: float
    least: float
    most: float

    @property
    def setting(self) -> str:
        """The setting that is its ceiling."""
        return f"AGENT_MAX_{self.name.upper()}"

    @property
    def ceiling(self) -> float:
        """The most that a version gets here: the operator's word, within what a sandbox can be given."""
        return float(max(self.least, min(self.most, getattr(settings, self.setting))))


@dataclass(frozen=True, slots=True)
class Granted:
    """What a version asked for and what it gets."""

    limit: Limit
    asked: float
    value: float

    @property
    def is_lowered(self) -> bool:
        """Whether the operator's ceiling is below what was asked for."""
        return self.value < self.asked

    @property
    def words(self) -> str:
        """What it gets, with its unit."""
        return f"{self.value:g} {self.limit.unit}".strip()

    @property
    def note(self) -> str:
        """Why it gets less than it asked for; empty when it does not."""
        if not self.is_lowered:
            return ""
        return f"agent.toml asks for {self.asked:g}; this store allows {self.limit.ceiling:g}."


# `least` and `most` are within the bounds of sandbox.spec.
LIMITS: Final = (
    Limit("memory_mb", "Memory", "MiB", 128, 32, 8192),
    Limit("cpu", "Processor cores", "", 0.5, 0.05, 16),
    Limit("processes", "Processes and threads", "", 64, 8, 1024),
    Limit("open_files", "Open files", "per process", 1024, 64, 65536),
    Limit("disk_mb", "Disk (/tmp)", "MiB", 32, 1, 1024),
    Limit("start_seconds", "Start", "s", 10, 1, 300),
    Limit("turn_seconds", "Turn", "s", 30, 1, 600),
    Limit("answer_kb", "Answer", "KiB", 1024, 1, 16384),
    Limit("calls_per_turn", "Calls in a turn", "", 80, 1, 10_000),
)
BY_NAME: Final = {limit.name: limit for limit in LIMITS}


def granted_limits(manifest: Mapping[str, Any]) -> dict[str, Granted]:
    """What a stored manifest gets now, by name.

    One that an older release stored lacks the younger limits: those are the defaults. A ceiling that was
    lowered since then lowers it too.
    """
    asked = manifest.get("resources", {})
    return {
        limit.name: Granted(limit, wanted := float(asked.get(limit.name, limit.default)), min(wanted, limit.ceiling))
        for limit in LIMITS
    }  # fmt: skip


def calls_per_turn(manifest: Mapping[str, Any]) -> int:
    """How many calls at the gateway one turn of this version may make."""
    return int(granted_limits(manifest)["calls_per_turn"].value)
