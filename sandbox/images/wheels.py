"""Installs vendored wheels by unpacking them (PEP 427): no build script, no package manager, no network."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from sandbox.images.errors import ImageRefused

# PEP 600: wheels for this C library or an older one; the base image's is 2.36 or newer.
_GLIBC_MINOR = 36


def read_wheel(path: Path, *, python: str, architecture: str) -> Iterator[tuple[str, bytes]]:
    """`(path in site-packages, content)` of every file that a wheel installs there.

    Raises ImageRefused: `bad_wheel` for what is no wheel, `wrong_platform` for one that the base can't run.
    """
    try:
        *_, tags = parse_wheel_filename(path.name)
    except InvalidWheelFilename as broken:
        raise ImageRefused(f"{path.name} is not a wheel's name.", code="bad_wheel") from broken
    if not tags & _supported(python, architecture):
        raise ImageRefused(
            f"{path.name} is not for Python {python} on Linux {architecture}.",
            hint="Download it with `pip download --only-binary=:all: --platform manylinux2014_x86_64`.",
            code="wrong_platform",
        )
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                place = None if member.is_dir() else _place(member.filename, wheel=path.name)
                if place is not None:
                    yield place, archive.read(member)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as broken:
        raise ImageRefused(f"{path.name} can't be unpacked.", code="bad_wheel") from broken


def _place(name: str, *, wheel: str) -> str | None:
    """Where the file goes below site-packages; None for scripts, headers and data, which no agent needs."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise ImageRefused(f"{wheel} has a file outside itself: {name!r:.100}", code="unsafe_path")
    if path.parts[0].endswith(".data"):
        if len(path.parts) > 2 and path.parts[1] in ("purelib", "platlib"):
            return str(PurePosixPath(*path.parts[2:]))
        return None
    return str(path)


def platforms_of(architecture: str) -> list[str]:
    """The platform tags that the base image takes, the newest first."""
    platforms = [f"manylinux_2_{minor}_{architecture}" for minor in range(_GLIBC_MINOR, 4, -1)]
    platforms += [f"manylinux{year}_{architecture}" for year in ("2014", "2010", "1")]
    return [*platforms, f"linux_{architecture}"]


def _supported(python: str, architecture: str) -> frozenset[Tag]:
    version = tuple(int(part) for part in python.split("."))
    platforms = platforms_of(architecture)
    interpreter = f"cp{version[0]}{version[1]}"
    return frozenset(
        [*cpython_tags(version, platforms=platforms), *compatible_tags(version, interpreter, platforms)]
    )
