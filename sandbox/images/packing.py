"""Makes layers out of files: one order, no times, no owners, so that the same files give the same bytes."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

from sandbox.images import blobs
from sandbox.images.store import StoredLayer, put_layer


class Packed(NamedTuple):
    """One file to be: its path in the image, its content, and whether it may be executed."""

    name: str
    content: bytes
    executable: bool = False


def pack_layer(files: Iterable[Packed]) -> StoredLayer:
    """Store files as a layer, with the directories above them."""
    made = {"."}
    with tempfile.TemporaryFile(dir=blobs.scratch_dir()) as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for name, content, executable in files:
                for parent in reversed(PurePosixPath(name).parents):
                    if str(parent) not in made:
                        made.add(str(parent))
                        tar.addfile(_member(str(parent), tarfile.DIRTYPE, 0o755))
                member = _member(name, tarfile.REGTYPE, 0o755 if executable else 0o644)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        file.seek(0)
        return put_layer(file)


def _member(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = kind, mode
    return member
