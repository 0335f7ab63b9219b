"""`agent.toml`, checked before an upload. The store checks more (free slug, its own ceilings) and has the
last word.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
# semver.org, the expression that it suggests
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-((0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?"
)
_CHOICES = {
    "skills": ("chat", "negotiate", "outfit", "try_on", "stream"),
    "permissions": ("catalog", "negotiate", "cart", "profile", "photos", "model", "ask"),
}
_FIELDS = {
    "name": str, "slug": str, "version": str, "tagline": str, "description": str, "categories": list,
    "protocol": str, "skills": list, "permissions": list, "resources": dict, "runtime": str, "command": list,
}  # fmt: skip
_RESOURCES: dict[str, tuple[type, ...]] = {
    "memory_mb": (int,),
    "cpu": (int, float),
    "processes": (int,),
    "open_files": (int,),
    "disk_mb": (int,),
    "start_seconds": (int,),
    "turn_seconds": (int,),
    "answer_kb": (int,),
    "calls_per_turn": (int,),
}
_NAMES = {str: "text in quotes", list: "a list in square brackets", dict: "a table", int: "a whole number"}


def read_manifest(directory: Path) -> tuple[dict[str, Any], list[str]]:
    """The manifest of an agent's directory and what is wrong with it, one line for each problem."""
    path = directory / "agent.toml"
    if not path.is_file():
        return {}, [f"{path}: there is no agent.toml; “agentstore init” writes one"]
    try:
        manifest = tomllib.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as broken:
        return {}, [f"agent.toml is not valid TOML: {broken}"]
    return manifest, problems_of(manifest, is_image=_has_image(directory))


def problems_of(manifest: dict[str, Any], *, is_image: bool) -> list[str]:
    """What is wrong, each line beginning with its field."""
    found = [f"{name}: is not a field of agent.toml" for name in manifest if name not in _FIELDS]
    required = ["name", "slug", "version", "tagline"] + ([] if is_image else ["runtime", "command"])
    found += [f"{name}: is missing" for name in required if name not in manifest]
    for name, kind in _FIELDS.items():
        if name in manifest and not isinstance(manifest[name], kind):
            found.append(f"{name}: must be {_NAMES[kind]}")
    if not found:
        found += _value_problems(manifest, is_image=is_image)
    return found


def _value_problems(manifest: dict[str, Any], *, is_image: bool) -> list[str]:
    found = list[str]()
    if not _SLUG.fullmatch(manifest["slug"]) or not 3 <= len(manifest["slug"]) <= 60:
        found.append("slug: may have 3 to 60 small letters, digits and single hyphens, such as bargain-scout")
    if not _SEMVER.fullmatch(manifest["version"]):
        found.append("version: must be a semantic version like 1.4.0 (semver.org)")
    for name, most in (("name", 80), ("tagline", 160)):
        if not 1 <= len(manifest[name].strip()) <= most:
            found.append(f"{name}: must have 1 to {most} characters")
    for name, choices in _CHOICES.items():
        found += [
            f"{name}: {value!r} is not one of {', '.join(choices)}"
            for value in manifest.get(name, [])
            if value not in choices
        ]
    if is_image:
        found += [
            f"{name}: belongs to source bundles only" for name in ("runtime", "command") if name in manifest
        ]
    elif manifest["runtime"] != "python":
        found.append('runtime: must be "python"; anything else is uploaded as image.tar')
    for name, value in manifest.get("resources", {}).items():
        kind = _RESOURCES.get(name)
        if kind is None:
            found.append(f"resources.{name}: is not a resource")
        elif isinstance(value, bool) or not (
            isinstance(value, int | float) and isinstance(value, kind) and value > 0
        ):
            found.append(f"resources.{name}: must be a number above 0")
    return found


def _has_image(directory: Path) -> bool:
    return any((directory / name).is_file() for name in ("image.tar", "image.tar.gz"))
