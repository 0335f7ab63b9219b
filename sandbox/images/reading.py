"""Reads what strangers pack: every claim of an archive about its own size may be a lie."""

from __future__ import annotations

import gzip
import struct
import tarfile
import zlib
from collections.abc import Callable
from typing import IO

_MAX_READ = 4 * 2**20
# What the standard library raises for a broken tar or gzip; other OSErrors are this machine's.
BROKEN = (
    EOFError, ValueError, OverflowError, RecursionError, zlib.error, struct.error, tarfile.TarError,
    gzip.BadGzipFile,
)  # fmt: skip


class BoundedReader:
    """A stream for tarfile, which reads extended headers whole whatever size they claim.

    Beyond `limit` bytes it raises what `too_large` gives.
    """

    def __init__(
        self, file: IO[bytes] | gzip.GzipFile, *, limit: int, too_large: Callable[[], Exception]
    ) -> None:
        self._file = file
        self._limit = limit + _MAX_READ
        self._too_large = too_large

    def read(self, size: int = -1) -> bytes:
        """At most 4 MiB at a time. Raises tarfile.HeaderError for more."""
        if not 0 <= size <= _MAX_READ:
            raise tarfile.HeaderError("a header is larger than is allowed")
        if self._file.tell() > self._limit:
            raise self._too_large()
        return self._file.read(size)

    def seek(self, position: int) -> int:
        """Forward is all that tarfile needs; elsewhere a gzip file is read again from its beginning."""
        if position > self._limit:
            raise self._too_large()
        return self._file.seek(position)

    def seekable(self) -> bool:
        """A file of an archive is read through this one, too."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._file.tell()


def open_tar(file: IO[bytes], *, limit: int, too_large: Callable[[], Exception]) -> tarfile.TarFile:
    """A plain or gzipped tar that unpacks to at most `limit` bytes, to be read from front to back."""
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    stream = gzip.GzipFile(fileobj=file) if packed else file
    # typeshed asks for a whole IO[bytes] here; reading needs read, seek and tell alone.
    return tarfile.TarFile(fileobj=BoundedReader(stream, limit=limit, too_large=too_large), mode="r")  # type: ignore[arg-type]
