"""What to run and within which limits: the only thing a caller says about a sandbox."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from agentstore.kit.errors import Invalid

KIB = 1024
MIB = 1024 * KIB
_IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

# What no operator's setting and no manifest goes beyond or below (inclusive).
_BOUNDS: dict[str, tuple[float, float]] = {
    "memory_bytes": (32 * MIB, 8192 * MIB),
    "cpus": (0.05, 16),
    "pids": (8, 1024),
    "nofile": (64, 65536),
    "tmp_bytes": (1 * MIB, 1024 * MIB),
    "start_seconds": (1, 300),
    "turn_seconds": (1, 600),
    "answer_bytes": (1 * KIB, 16 * MIB),
}


class InvalidSpec(Invalid):
    """A RunSpec names no image by id, or a limit is outside what is allowed."""

    code = "invalid_run_spec"


class Trust(StrEnum):
    """How far the image's code is trusted; the operator maps each to a runtime."""

    REVIEWED = "reviewed"
    UNTRUSTED = "untrusted"


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One kind of sandbox. Equal specs may share a pool; `fingerprint` is what they are equal by.

    `image_id` is the engine's content id (`sha256:…`), never a tag. `cpus` is in cores, sizes are in bytes,
    times in seconds. `tmp_bytes` is the size of /tmp, the only place to write; `answer_bytes` the most that
    one answer's body may have. `env` is added to the contract's variables and can't replace one. Raises
    InvalidSpec.
    """

    image_id: str
    trust: Trust = Trust.UNTRUSTED
    protocol: str = "http"
    memory_bytes: int = 256 * MIB
    cpus: float = 0.5
    pids: int = 64
    nofile: int = 1024
    tmp_bytes: int = 32 * MIB
    start_seconds: float = 20
    turn_seconds: float = 30
    answer_bytes: int = 1 * MIB
    env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _IMAGE_ID.fullmatch(self.image_id):
            raise InvalidSpec(
                "A sandbox runs an image by its id, never by a tag.", hint="Give sha256:<64 hex>."
            )
        object.__setattr__(self, "trust", Trust(self.trust))
        for name, (low, high) in _BOUNDS.items():
            if not low <= getattr(self, name) <= high:
                raise InvalidSpec(f"{name} must be between {low:g} and {high:g}.", limit=name)
        for name, value in self.env.items():
            if not _ENV_NAME.fullmatch(name) or "\x00" in value:
                raise InvalidSpec(f"{name!r:.80} is no name for a variable.")

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def as_json(self) -> dict[str, Any]:
        """What `from_json` takes, JSON-able."""
        return {**{f.name: getattr(self, f.name) for f in dataclasses.fields(self)}, "env": dict(self.env)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunSpec:
        """The spec that `as_json` gave. Raises InvalidSpec for fields that it does not know."""
        unknown = set(data) - {f.name for f in dataclasses.fields(cls)}
        if unknown or "image_id" not in data:
            raise InvalidSpec(f"This is no run spec: {sorted(unknown)!r:.200}")
        return cls(**data)

    @property
    def patience_seconds(self) -> float:
        """How long one start may take in all, the way to its host and its agent's own time included."""
        return self.start_seconds * 2 + 30

    @property
    def fingerprint(self) -> str:
        """The first 32 hex digits of SHA-256 over the canonical JSON."""
        text = json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]
