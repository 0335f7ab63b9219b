"""`agent.toml`: what an agent is, what it may do and what it needs. Refusals name the field and say what is
wrong.

The developer guide (docs/guides/developers.md) describes every field.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import semver
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from agentstore.kit.text import Unstorable, require_storable
from marketplace.publishing.errors import ManifestInvalid
from marketplace.publishing.limits import BY_NAME
from sandbox import protocols

FILE_NAME = "agent.toml"
MAX_BYTES = 64 * 1024

Skill = Literal["chat", "negotiate", "outfit", "try_on", "stream"]
Permission = Literal["catalog", "negotiate", "cart", "profile", "photos", "model", "ask"]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", min_length=3, max_length=60)]
CategorySlug = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]+(--?[a-z0-9]+)*$", min_length=3, max_length=60)
]
_Line = StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$")
Argument = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _limit(name: str) -> Any:
    return Field(default=BY_NAME[name].default, ge=BY_NAME[name].least)


class Resources(_Strict):
    """What a sandbox of it gets, and how far an answer goes (`limits.LIMITS`). The operator's settings are
    the ceilings.
    """

    memory_mb: int = _limit("memory_mb")
    cpu: float = _limit("cpu")
    processes: int = _limit("processes")
    open_files: int = _limit("open_files")
    disk_mb: int = _limit("disk_mb")
    start_seconds: int = _limit("start_seconds")
    turn_seconds: int = _limit("turn_seconds")
    answer_kb: int = _limit("answer_kb")
    calls_per_turn: int = _limit("calls_per_turn")

    @field_validator("*")
    @classmethod
    def _within_ceiling(cls, value: float, info: Any) -> float:
        ceiling = BY_NAME[info.field_name].ceiling
        if value > ceiling:
            raise ValueError(f"this store allows at most {ceiling:g}, not {value:g}")
        return value


class Manifest(_Strict):
    """A validated `agent.toml`. `runtime` and `command` are for source bundles; an image brings its own."""

    name: Annotated[str, _Line, Field(max_length=80)]
    slug: Slug
    version: str = Field(max_length=40)
    tagline: Annotated[str, _Line, Field(max_length=160)]
    description: str = Field(default="", max_length=4000)
    categories: list[CategorySlug] = Field(default_factory=list, max_length=10)
    protocol: str = "http"
    skills: list[Skill] = Field(default=["chat"], min_length=1)
    permissions: list[Permission] = Field(default_factory=list)
    resources: Resources = Field(default_factory=Resources)
    runtime: Literal["python"] | None = None
    command: list[Argument] | None = Field(default=None, min_length=1, max_length=50)

    @field_validator("version")
    @classmethod
    def _is_semver(cls, value: str) -> str:
        if not semver.Version.is_valid(value):
            raise ValueError(f"{value!r} is not a semantic version; write it like 1.4.0 (semver.org)")
        return value

    @field_validator("protocol")
    @classmethod
    def _is_spoken(cls, value: str) -> str:
        if value not in protocols.NAMES:
            raise ValueError(f"{value!r} is not spoken here; use one of: {', '.join(protocols.NAMES)}")
        return value

    @field_validator("categories", "skills", "permissions")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        if len(set(value)) != len(value):
            raise ValueError("names something twice")
        return value

    def as_json(self) -> dict[str, Any]:
        """JSON-able, defaults included: what a Version keeps."""
        return self.model_dump(mode="json")


def parse_manifest(text: bytes, *, kind: str) -> Manifest:
    """The manifest of a `source` or `image` bundle. Raises ManifestInvalid with every problem at once."""
    if len(text) > MAX_BYTES:
        raise ManifestInvalid([("", f"agent.toml is larger than {MAX_BYTES // 1024} KiB")])
    try:
        raw = tomllib.loads(text.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as broken:
        raise ManifestInvalid([("", f"agent.toml is not valid TOML: {broken!s:.200}")]) from broken
    try:
        require_storable(raw)
    except Unstorable as refused:
        raise ManifestInvalid([("", f"agent.toml: {refused.message}")]) from refused
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as broken:
        raise ManifestInvalid([_told(error) for error in broken.errors()]) from broken
    problems = _kind_problems(manifest, kind)
    if problems:
        raise ManifestInvalid(problems)
    return manifest


def _kind_problems(manifest: Manifest, kind: str) -> list[tuple[str, str]]:
    if kind == "source":
        wanted = {"runtime": '"python"', "command": 'the list to run, such as ["python3", "main.py"]'}
        return [
            (field, f"is missing; a source bundle needs {what}")
            for field, what in wanted.items()
            if getattr(manifest, field) is None
        ]
    return [
        (field, "belongs to source bundles only; an image brings its own command")
        for field in ("runtime", "command")
        if getattr(manifest, field) is not None
    ]


_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of agent.toml; check its spelling",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "list_type": "must be a list in square brackets",
    "string_too_long": "is longer than {max_length} characters",
    "string_too_short": "is shorter than {min_length} characters",
    "too_long": "has more than {max_length} entries",
    "too_short": "has fewer than {min_length} entries",
    "greater_than_equal": "must be at least {ge}",
    "literal_error": "must be one of {expected}",
    "value_error": "{error}",
    "model_type": "must be a table, as in [resources]",
    "finite_number": "must be a finite number",
}


def _told(error: Any) -> tuple[str, str]:
    field = _field_name(error["loc"])
    if error["type"] == "string_pattern_mismatch":
        if field == "slug":
            return field, "may have small letters, digits and single hyphens only, such as bargain-scout"
        if field.startswith("categories"):
            return field, "may have small letters, digits and hyphens only, such as clothing--shirts"
        return field, "must be one line of text"
    template = _WORDS.get(error["type"])
    problem = template.format(**(error.get("ctx") or {})) if template else str(error["msg"])
    return field, problem


def _field_name(loc: Sequence[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
