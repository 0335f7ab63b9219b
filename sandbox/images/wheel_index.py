"""Fetches a bundle's pinned requirements from the operator's index: wheels by their hashes, and nothing is run.

pip is asked to download and not to install: `--only-binary=:all:` keeps it from running anybody's build script,
`--require-hashes` with `--no-deps` from fetching what the developer did not name. Who owns the index is the
operator; off unless SANDBOX_WHEEL_INDEX is set.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from sandbox.images.errors import BaseUnavailable, ImageRefused

FILE_NAME = "requirements.txt"
MAX_LINES = 500
MAX_SECONDS = 90.0
_LOOK_SECONDS = 0.2
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
_HOW = (
    "Vendor it in wheels/, or pin it as name==1.0 --hash=sha256:… (as `pip-compile --generate-hashes` does)."
)


def missing_requirements(requirements: Path, wheels: Sequence[Path]) -> list[str]:
    """The requirements, one a line with their hashes, that no vendored wheel meets. Raises ImageRefused."""
    vendored: dict[str, set[Version]] = {}
    for wheel in wheels:
        with contextlib.suppress(InvalidWheelFilename):
            name, version, *_ = parse_wheel_filename(wheel.name)
            vendored.setdefault(name, set()).add(version)
    missing = []
    for line in _lines(requirements):
        told, *hashes = re.split(r"\s+(?=--)", line)
        try:
            wanted = Requirement(told)
        except InvalidRequirement as broken:
            raise _unpinned(line) from broken
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        if any(
            wanted.specifier.contains(version) for version in vendored.get(canonicalize_name(wanted.name), ())
        ):
            continue
        pins = list(wanted.specifier)
        exact = len(pins) == 1 and pins[0].operator == "==" and not pins[0].version.endswith(".*")
        if wanted.url or not exact or not hashes or not all(map(_HASH.fullmatch, hashes)):
            raise _unpinned(line)
        missing.append(f"{wanted.name}=={pins[0].version} {' '.join(hashes)}")
    return missing


def _lines(requirements: Path) -> list[str]:
    text = requirements.read_text(errors="replace").replace("\\\n", " ")
    lines = [re.split(r"(?:^|\s)#", line)[0].strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    if len(lines) > MAX_LINES:
        raise ImageRefused(f"{FILE_NAME} has more than {MAX_LINES} lines.", code="too_many_files")
    return lines


def fetch_wheels(
    missing: Sequence[str], *, python: str, platforms: Sequence[str], into: Path, most_bytes: int
) -> list[Path]:
    """Download these requirements' wheels. Raises ImageRefused, or BaseUnavailable when the index does not answer."""
    if not settings.SANDBOX_WHEEL_INDEX:
        names = ", ".join(line.split("==")[0] for line in missing[:5])
        raise ImageRefused(
            f"{FILE_NAME} asks for what is not in wheels/: {names}.", code="wheels_missing",
            hint="This store fetches nothing: `pip download -r requirements.txt -d wheels --only-binary=:all:`.",
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / FILE_NAME
        wanted.write_text("\n".join(missing) + "\n")
        command = [
            *(
                sys.executable,
                "-I",
                "-m",
                "pip",
                "download",
                "--no-input",
                "--disable-pip-version-check",
                "-q",
            ),
            *("--no-deps", "--require-hashes", "--only-binary=:all:", "--no-cache-dir", "--retries=1"),
            *("--python-version", python),
            *(word for platform in platforms for word in ("--platform", platform)),
            *("--dest", str(into), "-r", str(wanted)),
        ]
        # Nothing of ours is inherited, no other index from a pip.conf; and what may hold a password is no argument.
        environment = {
            "PATH": os.defpath, "HOME": scratch, "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": settings.SANDBOX_WHEEL_INDEX,
        }  # fmt: skip
        _run(command, environment, into, most_bytes)
    return sorted(into.glob("*.whl"))


def _run(command: list[str], environment: dict[str, str], into: Path, most_bytes: int) -> None:
    until = time.monotonic() + MAX_SECONDS
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(command, env=environment, stdout=told, stderr=told)  # noqa: S603  (pip, by our own words)
        try:
            while process.poll() is None:
                if sum(path.stat().st_size for path in into.rglob("*") if path.is_file()) > most_bytes:
                    raise ImageRefused("The wheels are larger than a bundle may be.", code="too_large")
                if time.monotonic() > until:
                    raise BaseUnavailable(f"The index gave the wheels not within {MAX_SECONDS:g} seconds.")
                time.sleep(_LOOK_SECONDS)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            told.seek(max(0, told.tell() - 2000))
            lines = [line for line in told.read().decode(errors="replace").splitlines() if "ERROR" in line]
            raise ImageRefused(
                f"The wheels could not be had: {' '.join(lines)[-300:] or 'pip failed'}", code="wheels_missing",
                hint="Only wheels with the named hashes are taken from this store's index. " + _HOW,
            )  # fmt: skip


def _unpinned(line: str) -> ImageRefused:
    return ImageRefused(f"{FILE_NAME} does not pin {line!r:.120}.", code="unpinned", hint=_HOW)
