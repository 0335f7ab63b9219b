"""Bundles on disk: stored once by the SHA-256 of their bytes, and opened into a directory to work on.

A source bundle has `agent.toml` and the agent's files; an image bundle has `agent.toml` and one `image.tar`
or `image.tar.gz`, as `docker save` writes it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from django.conf import settings

from marketplace.publishing.archives import Limits, Unpacked, unpack
from marketplace.publishing.errors import BundleRefused
from marketplace.publishing.manifest import FILE_NAME

Kind = Literal["source", "image"]
IMAGE_NAMES = ("image.tar", "image.tar.gz")
_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """Bytes that are kept: their SHA-256 in hex and their number."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class OpenBundle:
    """An unpacked bundle. `image` is the image archive of an image bundle."""

    kind: Kind
    unpacked: Unpacked
    manifest_text: bytes
    image: Path | None = None

    @property
    def root(self) -> Path:
        """The directory that `agent.toml` lies in."""
        return self.unpacked.root


def store_bundle(file: IO[bytes]) -> StoredBundle:
    """Keep the bytes; the same bytes are kept once. Raises BundleRefused (`too_large`, `empty_bundle`)."""
    home = _home()
    home.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    handle, name = tempfile.mkstemp(dir=home, prefix=".incoming-")
    try:
        with os.fdopen(handle, "wb") as out:
            while piece := file.read(_PIECE):
                size += len(piece)
                if size > settings.BUNDLE_MAX_BYTES:
                    raise BundleRefused(
                        f"The file is larger than {settings.BUNDLE_MAX_BYTES / 2**20:,.0f} MiB.",
                        code="too_large",
                    )
                digest.update(piece)
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
        if size == 0:
            raise BundleRefused("The file is empty.", code="empty_bundle")
        path = bundle_path(digest.hexdigest())
        path.parent.mkdir(exist_ok=True)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return StoredBundle(digest.hexdigest(), size)


def bundle_path(sha256: str) -> Path:
    """Where the bundle of that content lies."""
    return _home() / sha256[:2] / sha256


@contextmanager
def open_bundle(sha256: str) -> Iterator[OpenBundle]:
    """The bundle, unpacked into a directory that is gone afterwards. Raises BundleRefused."""
    limits = Limits(unpacked_bytes=settings.BUNDLE_MAX_UNPACKED_BYTES, files=settings.BUNDLE_MAX_FILES)
    with tempfile.TemporaryDirectory(prefix="bundle-", dir=_home(), ignore_cleanup_errors=True) as scratch:
        yield _look_into(unpack(bundle_path(sha256), Path(scratch), limits))


def _look_into(unpacked: Unpacked) -> OpenBundle:
    root = unpacked.root
    manifest = root / FILE_NAME
    if not manifest.is_file():
        if any((root / name).is_file() for name in ("manifest.json", "oci-layout")):
            raise BundleRefused(
                "This is a bare image without a manifest.", code="bare_image",
                hint="Pack it as image.tar beside agent.toml and upload that archive.",
            )  # fmt: skip
        raise BundleRefused(
            "There is no agent.toml at the top of the archive.", code="no_manifest",
            hint="`agentstore init` writes one to start from.",
        )  # fmt: skip
    with manifest.open("rb") as file:
        text = file.read(_PIECE)
    image = next((root / name for name in IMAGE_NAMES if (root / name).is_file()), None)
    return OpenBundle("image" if image else "source", unpacked, text, image)


def _home() -> Path:
    return Path(settings.DATA_DIR) / "bundles"
