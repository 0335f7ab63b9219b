"""Bytes named by their SHA-256, in the Django storage `images`: the one place where images are kept.

Where the storage is a directory, a blob is written beside its place, forced to the disk and renamed, so that
there is never half a one; a process that was killed leaves a file whose lock nobody holds, and the next writer
removes it. Where it is not, this host keeps local copies. Either way a blob is handed out only after its bytes
were hashed, once per process and file.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, storages

from sandbox.driver import ImageMissing
from sandbox.spec import MIB

# Between a file's creation and its lock.
_YOUNG_SECONDS = 30
_verified: dict[Path, tuple[int, int, int]] = {}


class ImageDamaged(ImageMissing):
    """The store has a blob whose bytes are not what its name says. Ours to repair: make the image again."""

    code = "image_damaged"


def storage() -> Storage:
    """The storage `images`."""
    return storages["images"]


def put_blob(
    stream: IO[bytes], *, place: str, before_keeping: Callable[[str, int], None] | None = None
) -> tuple[str, int]:
    """Keep all that the stream gives under `<place>/<its digest>`; the SHA-256 in hex and the size in bytes.

    What is there already is written again where that costs nothing, so that a damaged blob heals.
    `before_keeping` is called with both when they are known and the blob is not yet in its place.
    """
    with _incoming() as file:
        digest, size = hashlib.sha256(), 0
        while piece := stream.read(MIB):
            digest.update(piece)
            size += file.write(piece)
        file.flush()
        if before_keeping is not None:
            before_keeping(digest.hexdigest(), size)
        name = blob_name(place, digest.hexdigest())
        if (local := local_path(name)) is not None:
            _move_in(file, local)
        else:
            _send(file, name, size)
    return digest.hexdigest(), size


def blob_name(place: str, digest: str) -> str:
    """The blob's name in the storage."""
    return f"{place}/{digest[:2]}/{digest}"


def blob_path(place: str, digest: str) -> Path:
    """A local file of the blob, whose bytes were found to be right. Raises ImageMissing, ImageDamaged."""
    name = blob_name(place, digest)
    if (path := local_path(name)) is not None:
        _verify(path, digest)
        return path
    path = _copies() / name
    try:
        _verify(path, digest)
    except ImageMissing:
        _fetch(name, path)
        _verify(path, digest)
    return path


def blob_size(place: str, digest: str) -> int:
    """Bytes of a blob, without looking into it. Raises ImageMissing."""
    name = blob_name(place, digest)
    path = local_path(name)
    for known in (path,) if path is not None else (_copies() / name,):
        with contextlib.suppress(FileNotFoundError):
            return known.stat().st_size
    if path is None and storage().exists(name):
        return storage().size(name)
    raise _missing(digest)


def delete_blob(place: str, digest: str) -> None:
    """Forget a blob, here and in the storage; safe to repeat."""
    name = blob_name(place, digest)
    (_copies() / name).unlink(missing_ok=True)
    storage().delete(name)


def list_blobs(place: str) -> Iterator[tuple[str, datetime]]:
    """`(digest, when it was written)` of all blobs of a place."""
    with contextlib.suppress(FileNotFoundError):
        for shelf in storage().listdir(place)[0]:
            for digest in storage().listdir(f"{place}/{shelf}")[1]:
                with contextlib.suppress(FileNotFoundError):
                    yield digest, storage().get_modified_time(f"{place}/{shelf}/{digest}")


def write_note(name: str, text: str) -> None:
    """Keep a short text by name, in place of an earlier one."""
    if (local := local_path(name)) is None:
        storage().delete(name)
        storage().save(name, ContentFile(text.encode()))
        return
    with _incoming() as file:
        file.write(text.encode())
        file.flush()
        _move_in(file, local)


def read_note(name: str) -> str | None:
    """The text of that name, None when there is none."""
    try:
        with storage().open(name) as file:
            return bytes(file.read()).decode()
    except FileNotFoundError:
        return None


def list_notes(place: str) -> list[str]:
    """The names of all texts of a place."""
    try:
        return list(storage().listdir(place)[1])
    except FileNotFoundError:
        return []


def forget_copies(known: Collection[str]) -> None:
    """Remove this host's copies of blobs whose digests are not among `known`."""
    for copy in _copies().glob("*/*/*"):
        if copy.name not in known:
            copy.unlink(missing_ok=True)


def local_path(name: str) -> Path | None:
    """Where the storage keeps a name on this host's file system, None where it does not."""
    try:
        return Path(storage().path(name))
    except NotImplementedError:
        return None


def scratch_dir() -> Path:
    """Where files are written before they are moved into place; on the same file system."""
    local = local_path("incoming")
    directory = local if local is not None else _copies() / "incoming"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def remove_stale() -> int:
    """Remove what killed writers left half-written; the number of files."""
    removed = 0
    for path in scratch_dir().iterdir():
        with contextlib.suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - path.stat().st_mtime > _YOUNG_SECONDS:
                path.unlink()
                removed += 1
    return removed


@contextlib.contextmanager
def _incoming() -> Iterator[IO[bytes]]:
    """A new file under a lock; removed in the end unless it was moved away."""
    remove_stale()
    handle, name = tempfile.mkstemp(dir=scratch_dir())
    os.close(handle)
    try:
        with open(name, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
    finally:
        Path(name).unlink(missing_ok=True)


def _move_in(file: IO[bytes], path: Path) -> None:
    os.fsync(file.fileno())
    path.parent.mkdir(parents=True, exist_ok=True)
    os.fchmod(file.fileno(), 0o644)
    os.replace(file.name, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _send(file: IO[bytes], name: str, size: int) -> None:
    there = storage()
    if there.exists(name):
        if there.size(name) == size:
            return
        there.delete(name)
    file.seek(0)
    saved = there.save(name, File(file, name=name))
    if saved != name:
        # Somebody else was first with the same bytes.
        there.delete(saved)


def _fetch(name: str, path: Path) -> None:
    with _incoming() as copy:
        try:
            with storage().open(name) as source:
                shutil.copyfileobj(source, copy, MIB)
        except FileNotFoundError as missing:
            raise _missing(Path(name).name) from missing
        copy.flush()
        _move_in(copy, path)


def _verify(path: Path, digest: str) -> None:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            identity = (found.st_ino, found.st_mtime_ns, found.st_size)
            if _verified.get(path) == identity:
                return
            right = hashlib.file_digest(file, "sha256").hexdigest() == digest
    except FileNotFoundError as missing:
        raise _missing(digest) from missing
    if not right:
        raise ImageDamaged(
            f"The store's copy of {digest[:12]} is damaged.",
            hint="Submit the bundle again, or run `manage.py build_base_image`: what is made again heals it.",
        )
    _verified[path] = identity


def _copies() -> Path:
    """This host's copies of a storage that is elsewhere."""
    return Path(settings.DATA_DIR) / "sandbox" / "copies"


def _missing(digest: str) -> ImageMissing:
    return ImageMissing(f"The store has nothing of the digest {digest[:12]}.")
