"""Rewrites one layer of an image archive: what is harmless goes on, what is not is refused or left out.

A layer is a tar that is unpacked as root. Paths and hard links must stay inside; devices, pipes and
engines' own bookkeeping names are refused; setuid bits and file capabilities are dropped; owners become
plain numbers. The result depends on the content alone, so that equal layers of two uploads are stored once.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from sandbox.images.errors import ImageRefused
from sandbox.images.reading import BROKEN, open_tar
from sandbox.images.tree import MAX_DEPTH, Entry, Kind
from sandbox.spec import MIB

MAX_FILES = 100_000
MAX_BYTES = 2048 * MIB
_MAX_ID = 2**31 - 1
_MAX_NAME, _MAX_PATH = 255, 4096
_KINDS: dict[bytes, Kind] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
}


@dataclass
class Budget:
    """What is left of files and unpacked bytes for all layers of an image together."""

    files: int = MAX_FILES
    size: int = MAX_BYTES

    def spend(self, size: int) -> None:
        """Count one file. Raises ImageRefused."""
        self.files -= 1
        self.size -= size
        if self.files < 0:
            raise ImageRefused(f"The image has more than {MAX_FILES} files.", code="too_many_files")
        if self.size < 0:
            raise _too_large()


def rewrite_layer(source: IO[bytes], target: IO[bytes], *, budget: Budget) -> str:
    """Write the harmless form of a layer (plain tar or gzip); its `sha256:…` diff id. Raises ImageRefused."""
    digesting = _Digesting(target)
    try:
        with (
            open_tar(source, limit=budget.size, too_large=_too_large) as given,
            tarfile.open(fileobj=digesting, mode="w|", format=tarfile.PAX_FORMAT) as kept,  # type: ignore[call-overload]  # it writes, which is all that is asked
        ):
            for member in _members(given, budget):
                kept.addfile(member, given.extractfile(member) if member.isreg() else None)
    except BROKEN as broken:
        raise ImageRefused(
            "A layer of the image is no valid archive.", code="malformed_archive",
            hint="Layers are plain or gzipped tar files.",
        ) from broken  # fmt: skip
    return f"sha256:{digesting.hash.hexdigest()}"


def _too_large() -> ImageRefused:
    return ImageRefused(f"The image unpacks to more than {MAX_BYTES // MIB} MiB.", code="too_large")


def _members(given: tarfile.TarFile, budget: Budget) -> Iterator[tarfile.TarInfo]:
    for member in given:
        budget.spend(member.size if member.isreg() else 0)
        name = safe_path(member.name)
        if name in ("", "."):
            continue
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            raise ImageRefused(f"The image has a device or pipe: {name!r:.100}", code="device_file")
        if member.issparse():
            raise ImageRefused(f"The image has a sparse file: {name!r:.100}", code="malformed_archive")
        clean = tarfile.TarInfo(name)
        clean.type, clean.size = member.type, member.size
        clean.mode = member.mode & 0o1777 if member.isdir() else member.mode & 0o777
        clean.uid, clean.gid = min(max(member.uid, 0), _MAX_ID), min(max(member.gid, 0), _MAX_ID)
        if member.issym():
            # Followed inside the sandbox only: whoever unpacks it takes the image as its root.
            clean.linkname = member.linkname
            if not 0 < len(os.fsencode(member.linkname)) < _MAX_PATH or "\x00" in member.linkname:
                raise ImageRefused(f"The image has a link to nowhere: {name!r:.100}", code="unsafe_link")
        elif member.islnk():
            clean.linkname = safe_path(member.linkname, code="unsafe_link")
        # Where the content lies, for extractfile.
        clean.offset_data, clean.offset = member.offset_data, member.offset
        yield clean


def read_entries(layer: tarfile.TarFile) -> Iterator[tuple[Entry, tarfile.TarInfo]]:
    """What a layer of the store holds, with its place in the tar. Raises ImageRefused."""
    for number, member in enumerate(layer):
        kind = _KINDS.get(member.type)
        if kind is None:
            raise ImageRefused(f"The image has a device or pipe: {member.name!r:.100}", code="device_file")
        mode = member.mode & (0o1777 if kind == "directory" else 0o777)
        entry = Entry(
            kind, safe_path(member.name), mode=mode, uid=member.uid, gid=member.gid, target=member.linkname,
            number=number,
        )  # fmt: skip
        yield entry, member


def safe_path(name: str, *, code: str = "unsafe_path") -> str:
    """The path without `./`, below the root. Raises ImageRefused."""
    path = PurePosixPath(name.lstrip("/") if code == "unsafe_path" and name in ("/", "") else name)
    if path.is_absolute() or ".." in path.parts or "\x00" in name:
        raise ImageRefused(f"The image has a path outside itself: {name!r:.100}", code=code)
    longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
    if longest > _MAX_NAME or len(os.fsencode(name)) > _MAX_PATH or len(path.parts) >= MAX_DEPTH:
        raise ImageRefused(f"The image has a path too long or too deep: {name!r:.100}", code=code)
    if path.name.startswith(".wh..wh.") and path.name != ".wh..wh..opq":
        raise ImageRefused(f"The image has a reserved name: {name!r:.100}", code=code)
    return str(path)


class _Digesting:
    """Passes writes on and hashes them."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self.hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """All of it."""
        self.hash.update(data)
        return self._target.write(data)
