"""Unpacks what strangers upload: zip and tar(.gz) files whose every claim about themselves may be a lie.

Sizes are counted as bytes come out, not as headers promise, so a compression bomb is stopped at the limit.
Only plain files and directories leave an archive; what was written is owned by us, without its mode bits but
"executable".
"""

from __future__ import annotations

import errno
import gzip
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from marketplace.publishing.errors import BundleRefused
from sandbox.images.reading import BoundedReader

_PIECE = 256 * 1024
_MAX_PATH_BYTES = 400
_MAX_DEPTH = 32
# Beyond this ratio of unpacked to packed bytes nothing is source code or an image any more; small files are
# let be.
_MAX_RATIO = 200
_RATIO_FROM = 16 * 2**20
# What the standard library raises for a broken archive; other OSErrors are this machine's, not the archive's.
_BROKEN = (
    EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error, struct.error, tarfile.TarError,
    zipfile.BadZipFile, gzip.BadGzipFile, FileExistsError, NotADirectoryError, IsADirectoryError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that an archive may hold: bytes when unpacked, and members of any type."""

    unpacked_bytes: int
    files: int


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What came out: bytes, number of files and the directory that holds the bundle's root."""

    size: int
    files: int
    root: Path


@dataclass(frozen=True, slots=True)
class _Member:
    path: PurePosixPath
    executable: bool
    stream: IO[bytes] | None
    """None for a directory."""


def unpack(archive: Path, into: Path, limits: Limits) -> Unpacked:
    """Unpack a zip, tar or tar.gz file into an empty directory.

    A single top directory, as archives of a repository have it, is taken as the root. Raises BundleRefused
    (see its codes) for what is wrong with the archive and OSError for what is wrong with this machine; what
    was written until then is the caller's to remove.
    """
    packed_size = archive.stat().st_size
    size = files = 0
    seen = set[str]()
    try:
        for number, member in enumerate(_members(archive, limits)):
            if number >= limits.files:
                raise _too_many(limits)
            if not member.path.parts:
                continue
            target = into.joinpath(*member.path.parts)
            if member.stream is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            _claim(member.path, seen)
            target.parent.mkdir(parents=True, exist_ok=True)
            files += 1
            for piece in _copied(member.stream, target, executable=member.executable):
                size += piece
                if size > limits.unpacked_bytes or (size > _RATIO_FROM and size > packed_size * _MAX_RATIO):
                    raise _too_large(limits)
    except (*_BROKEN, OSError) as broken:
        # EINVAL: the archive named a place before its own beginning.
        if not isinstance(broken, _BROKEN) and getattr(broken, "errno", None) != errno.EINVAL:
            raise
        raise BundleRefused(
            f"The archive can't be read: {broken!s:.200}", code="malformed_archive",
            hint="Pack it again with `agentstore pack`, zip or tar.",
        ) from broken  # fmt: skip
    if not files:
        raise BundleRefused("There are no files in the archive.", code="empty_bundle")
    return Unpacked(size=size, files=files, root=_root_of(into))


def _members(archive: Path, limits: Limits) -> Iterator[_Member]:
    with archive.open("rb") as file:
        head = file.read(262)
        if head[:4] in (b"PK\3\4", b"PK\5\6"):
            yield from _zip_members(file, limits)
        elif head[:2] == b"\x1f\x8b":
            file.seek(0)
            with gzip.GzipFile(fileobj=file) as unzipped:
                yield from _tar_members(unzipped, limits)
        elif head[257:262] == b"ustar":
            yield from _tar_members(file, limits)
        else:
            raise BundleRefused(
                "This is neither a zip nor a tar.gz file.", code="unknown_format",
                hint="Pack the agent's directory with `agentstore pack`.",
            )  # fmt: skip


def _zip_members(file: IO[bytes], limits: Limits) -> Iterator[_Member]:
    _bound_directory(file, limits)
    with zipfile.ZipFile(file) as packed:
        for info in packed.infolist():
            if info.flag_bits & 0x1:
                raise BundleRefused(f"{info.filename!r:.120} is encrypted.", code="encrypted")
            path = _safe_path(info.filename)
            mode = info.external_attr >> 16
            kind = stat.S_IFMT(mode)
            if kind == stat.S_IFLNK:
                raise _link(info.filename)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _special(info.filename)
            if info.is_dir():
                yield _Member(path, False, None)
            else:
                with packed.open(info) as stream:
                    yield _Member(path, bool(mode & 0o111), stream)


def _bound_directory(file: IO[bytes], limits: Limits) -> None:
    """zipfile reads the whole central directory at once, so its size is looked at first (APPNOTE 4.3.16)."""
    file.seek(0, os.SEEK_END)
    file.seek(-min(file.tell(), 22 + 65535), os.SEEK_CUR)
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + 22:
        raise zipfile.BadZipFile("it has no central directory")
    entries, size = struct.unpack_from("<HL", tail, at + 10)
    if tail[max(at - 20, 0) : at].startswith(b"PK\6\7") or entries > limits.files:
        raise _too_many(limits)
    if size > limits.files * (46 + _MAX_PATH_BYTES):
        raise _too_many(limits)


def _tar_members(file: IO[bytes] | gzip.GzipFile, limits: Limits) -> Iterator[_Member]:
    bounded = BoundedReader(file, limit=limits.unpacked_bytes, too_large=lambda: _too_large(limits))
    # typeshed asks for a whole IO[bytes] here; reading needs read, seek and tell alone.
    with tarfile.TarFile(fileobj=bounded, mode="r") as packed:  # type: ignore[arg-type]
        while (info := packed.next()) is not None:
            path = _safe_path(info.name)
            if info.issym() or info.islnk():
                raise _link(info.name)
            if info.issparse() or not (info.isreg() or info.isdir()):
                raise _special(info.name)
            stream = None if info.isdir() else packed.extractfile(info)
            yield _Member(path, bool(info.mode & 0o111), stream)


def _safe_path(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    unsafe = (
        name.startswith("/")
        or "\\" in name
        or ".." in path.parts
        or any(ord(letter) < 32 or ord(letter) == 127 or 0xD800 <= ord(letter) <= 0xDFFF for letter in name)
        or (len(name) > 1 and name[1] == ":")
    )
    if unsafe:
        raise BundleRefused(
            f"{name!r:.120} is not a safe path.", code="unsafe_path",
            hint="Paths are relative, with / between their parts and without .. in them.",
        )  # fmt: skip
    longest = max((len(part.encode()) for part in path.parts), default=0)
    if len(name.encode()) > _MAX_PATH_BYTES or longest > 255 or len(path.parts) > _MAX_DEPTH:
        raise BundleRefused(f"{name!r:.120} is too long or too deep a path.", code="unsafe_path")
    return path


def _claim(path: PurePosixPath, seen: set[str]) -> None:
    """Every file once: what is checked must be what is built, whichever duplicate a tool would take."""
    if str(path) in seen:
        raise BundleRefused(f"{str(path)!r:.120} is in the archive twice.", code="duplicate_path")
    seen.add(str(path))


def _copied(stream: IO[bytes], target: Path, *, executable: bool) -> Iterator[int]:
    """Write the stream to a new file; yields the size of each piece before it is written."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(target, flags, 0o755 if executable else 0o644), "wb") as out:
        while piece := stream.read(_PIECE):
            yield len(piece)
            out.write(piece)


def _too_many(limits: Limits) -> BundleRefused:
    return BundleRefused(f"The archive has more than {limits.files:,} files.", code="too_many_files")


def _too_large(limits: Limits) -> BundleRefused:
    allowed = f"{limits.unpacked_bytes / 2**20:,.0f} MiB"
    return BundleRefused(
        f"The archive unpacks to more than is allowed: {allowed}, or {_MAX_RATIO} times its packed size.",
        code="unpacks_too_large",
    )


def _root_of(into: Path) -> Path:
    entries = [entry for entry in into.iterdir() if entry.name != "__MACOSX"]
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else into


def _link(name: str) -> BundleRefused:
    return BundleRefused(
        f"{name!r:.120} is a link.", code="unsafe_link", hint="Put the file itself into the archive."
    )


def _special(name: str) -> BundleRefused:
    return BundleRefused(f"{name!r:.120} is a device, pipe or other special file.", code="special_file")
