"""Lays a checked source bundle on the base image. A seller's Dockerfile is never run, nor any code of the
bundle.

The bundle's wheels make one layer, its files another, so that versions that differ in their own code alone
share the rest. The same files give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import shlex
import stat
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sandbox.images import blobs
from sandbox.images.base import current_base
from sandbox.images.errors import ImageRefused
from sandbox.images.records import BuiltImage, record_image
from sandbox.images.store import get_image, image_config, put_image, put_layer
from sandbox.images.wheels import read_wheel
from sandbox.models import Image
from sandbox.spec import MIB

RECIPE = "2"
RUNTIMES = ("python",)
MAX_FILES = 20_000
MAX_BYTES = 512 * MIB
_APP, _SITE = "app", "usr/local/lib/agentstore/site-packages"


@dataclass(slots=True)
class _Budget:
    """What is left of files and bytes for a whole bundle."""

    files: int
    size: int

    def spend(self, size: int) -> None:
        """Count one file. Raises ImageRefused."""
        self.files -= 1
        self.size -= size
        if self.files < 0:
            raise ImageRefused(f"The bundle has more than {MAX_FILES} files.", code="too_many_files")
        if self.size < 0:
            raise ImageRefused(f"The bundle unpacks to more than {MAX_BYTES // MIB} MiB.", code="too_large")


def build_source(*, bundle_dir: Path, runtime: str, command: Sequence[str] | str) -> BuiltImage:
    """An image of the bundle's files under /app and its `wheels/*.whl` on Python's path.

    `runtime` is "python", or "python3.x" when the base has just that; `command` runs in /app. The same
    content gives the same image. Raises ImageRefused (the developer's), BaseUnavailable (ours).
    """
    base = get_image(current_base().image_id)
    python = base.labels.get("agentstore.python", "")
    if runtime not in (*RUNTIMES, f"python{python}", "python3"):
        raise ImageRefused(
            f"There is no runtime {runtime!r:.40} for source bundles.",
            hint=f"Use “python” ({python} here), or upload an image archive.", code="unsupported_runtime",
        )  # fmt: skip
    words = shlex.split(command) if isinstance(command, str) else list(command)
    if not words:
        raise ImageRefused("The manifest names no command to run.", code="no_command")
    files, wheels = _look_through(Path(bundle_dir))
    budget = _Budget(MAX_FILES, MAX_BYTES)
    layers = list(base.layers)
    if wheels:
        layers.append(_put(_installed(wheels, python), budget))
    layers.append(_put(_own(files), budget))
    digest = hashlib.sha256(json.dumps([RECIPE, words, layers]).encode()).hexdigest()
    image = put_image(
        image_config(
            layers=layers, command=words, env=[*base.env, f"PYTHONPATH=/{_APP}:/{_SITE}"], workdir=f"/{_APP}",
            labels={"agentstore.source": Image.Source.BUNDLE.value, "agentstore.digest": digest},
        )
    )  # fmt: skip
    facts = {"base": base.image_id, "runtime": f"python{python}", "command": words}
    return record_image(image=image, source=Image.Source.BUNDLE, digest=digest, facts=facts)


def _look_through(bundle_dir: Path) -> tuple[dict[str, Path], list[Path]]:
    """The bundle's own files by their place in it, and its wheels. Raises ImageRefused for what is neither."""
    own, wheels = dict[str, Path](), list[Path]()
    for directory, names, files in os.walk(bundle_dir):
        for name in [*files, *(n for n in names if (Path(directory) / n).is_symlink())]:
            path = Path(directory) / name
            place = path.relative_to(bundle_dir)
            found = path.lstat()
            if stat.S_ISLNK(found.st_mode):
                raise ImageRefused(f"{place} is a link; bundles hold plain files.", code="unsafe_link")
            if not stat.S_ISREG(found.st_mode):
                raise ImageRefused(f"{place} is neither file nor directory.", code="device_file")
            if found.st_size > MAX_BYTES:
                raise ImageRefused(f"{place} is too large.", code="too_large")
            if place.parts[0] == "wheels" and path.suffix == ".whl":
                wheels.append(path)
            else:
                own[place.as_posix()] = path
    return own, sorted(wheels)


def _own(files: dict[str, Path]) -> Iterator[tuple[str, bytes, bool]]:
    """`(path in the image, content, executable)` of the bundle's own files."""
    for place, path in sorted(files.items()):
        yield f"{_APP}/{place}", path.read_bytes(), bool(path.stat().st_mode & 0o100)


def _installed(wheels: Sequence[Path], python: str) -> Iterator[tuple[str, bytes, bool]]:
    """The same of the wheels, as if they were installed."""
    for wheel in wheels:
        for inside, content in read_wheel(wheel, python=python, architecture=platform.machine()):
            yield f"{_SITE}/{inside}", content, False


def _put(entries: Iterable[tuple[str, bytes, bool]], budget: _Budget) -> str:
    """Store the files as a layer, with their directories, in one order and without times; its diff id."""
    made = set[str]()
    with tempfile.TemporaryFile(dir=blobs.scratch_dir()) as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for name, content, executable in entries:
                budget.spend(len(content))
                for parent in reversed(PurePosixPath(name).parents):
                    if str(parent) not in {".", *made}:
                        made.add(str(parent))
                        tar.addfile(_member(str(parent), tarfile.DIRTYPE, 0o755))
                member = _member(name, tarfile.REGTYPE, 0o755 if executable else 0o644)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        file.seek(0)
        return put_layer(file).diff_id


def _member(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = kind, mode
    return member
