"""Images of the store, unpacked once per host to be the read-only roots of engine-less sandboxes."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from django.conf import settings

from sandbox.images.store import StoredImage
from sandbox.images.unpack import forget_layers, remove_tree, unpack_image

_MOUNTPOINTS = ("tmp", "proc", "dev", "sys", "run/agentstore")
_ROOT = re.compile(r"[0-9a-f]{64}")


def roots_dir() -> Path:
    """Where they are."""
    return Path(settings.DATA_DIR) / "sandbox" / "roots"


def ensure_root(image_id: str) -> tuple[StoredImage, Path]:
    """The image and its unpacked root, made first where it is missing. Raises as `unpack_image`."""
    root = roots_dir() / image_id.removeprefix("sha256:")
    image = unpack_image(image_id, root)
    for place in (*_MOUNTPOINTS, image.workdir.lstrip("/")):
        make_directory(root, place)
    return image, root


def remove_roots(keep: Collection[str], *, in_use: Collection[str]) -> int:
    """Remove the roots of images that are neither to be kept nor in use; how many."""
    spared = {image_id.removeprefix("sha256:") for image_id in (*keep, *in_use)}
    doomed = [p for p in roots_dir().glob("*") if _ROOT.fullmatch(p.name) and p.name not in spared]
    for root in doomed:
        remove_tree(root)
        root.with_name(f"{root.name}.lock").unlink(missing_ok=True)
    forget_layers([f"sha256:{name}" for name in spared])
    return len(doomed)


def make_directory(root: Path, place: str) -> None:
    """Make a directory below the root without following a link: the image may have put one anywhere."""
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in PurePosixPath(place).parts:
            if part in ("..", "/"):
                return
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=here)
            try:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            except OSError:
                # A link or a file of the image's: gVisor finds its way, or refuses the start.
                return
            os.close(here)
            here = below
    finally:
        os.close(here)
