"""Lays a checked source bundle on the base image. A seller's Dockerfile is never run, nor any code of the
bundle.

The bundle's wheels make one layer, its files another, each with its bytecode on top, so that versions that differ
in their own code alone share the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.driver import Driver
from sandbox.images.base import current_base
from sandbox.images.compiling import MAX_SECONDS, compile_layer
from sandbox.images.errors import ImageRefused
from sandbox.images.packing import Packed, pack_layer
from sandbox.images.records import BuiltImage, record_image
from sandbox.images.store import StoredImage, get_image, image_config, put_image
from sandbox.images.wheel_index import FILE_NAME, fetch_wheels, missing_requirements
from sandbox.images.wheels import platforms_of, read_wheel
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

    def counted(self, files: Iterable[Packed]) -> Iterator[Packed]:
        """The same files. Raises ImageRefused at the first that is too many or too much."""
        for file in files:
            self.files -= 1
            self.size -= len(file.content)
            if self.files < 0:
                raise ImageRefused(f"The bundle has more than {MAX_FILES} files.", code="too_many_files")
            if self.size < 0:
                raise ImageRefused(
                    f"The bundle unpacks to more than {MAX_BYTES // MIB} MiB.", code="too_large"
                )
            yield file


def build_source(
    *, bundle_dir: Path, runtime: str, command: Sequence[str] | str, driver: Driver | None = None
) -> BuiltImage:
    """An image of the bundle's files under /app and its `wheels/*.whl` on Python's path.

    `runtime` is "python", or "python3.x" when the base has just that; `command` runs in /app. With a driver the
    Python files are byte-compiled in a sandbox of its; without one they are not. The same content gives the
    same image. Raises ImageRefused (the developer's), BaseUnavailable (ours).
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
    with tempfile.TemporaryDirectory(prefix="wheels-") as fetched:
        wheels += _fetched(files, wheels, python, Path(fetched))
        layers = _layers(base, files, wheels, python, driver)
    digest = hashlib.sha256(json.dumps([RECIPE, words, layers]).encode()).hexdigest()
    image = put_image(
        image_config(
            layers=layers, command=words, env=[*base.env, f"PYTHONPATH=/{_APP}:/{_SITE}"], workdir=f"/{_APP}",
            labels={"agentstore.source": Image.Source.BUNDLE.value, "agentstore.digest": digest},
        )
    )  # fmt: skip
    facts = {"base": base.image_id, "runtime": f"python{python}", "command": words}
    return record_image(image=image, source=Image.Source.BUNDLE, digest=digest, facts=facts)


def _layers(
    base: StoredImage, files: dict[str, Path], wheels: Sequence[Path], python: str, driver: Driver | None
) -> list[str]:
    """The base's layers, then wheels and own files, each with its bytecode. Raises ImageRefused."""
    budget, until = _Budget(MAX_FILES, MAX_BYTES), time.monotonic() + MAX_SECONDS
    layers = list(base.layers)
    for root, content in ((_SITE, _installed(wheels, python)), (_APP, _own(files))):
        if root == _SITE and not wheels:
            continue
        layer = pack_layer(budget.counted(content)).diff_id
        layers.append(layer)
        if driver is not None and (
            bytecode := compile_layer(base=base, layer=layer, root=root, driver=driver, until=until)
        ):
            layers.append(bytecode)
    return layers


def _fetched(files: dict[str, Path], wheels: Sequence[Path], python: str, into: Path) -> list[Path]:
    """The wheels that the bundle pins and does not bring, from the operator's index."""
    requirements = files.get(FILE_NAME)
    missing = missing_requirements(requirements, wheels) if requirements else []
    if not missing:
        return []
    return fetch_wheels(
        missing, python=python, platforms=platforms_of(platform.machine()), into=into, most_bytes=MAX_BYTES
    )


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


def _own(files: dict[str, Path]) -> Iterator[Packed]:
    """The bundle's own files."""
    for place, path in sorted(files.items()):
        yield Packed(f"{_APP}/{place}", path.read_bytes(), bool(path.stat().st_mode & 0o100))


def _installed(wheels: Sequence[Path], python: str) -> Iterator[Packed]:
    """The wheels' files, as if they were installed."""
    for wheel in wheels:
        for inside, content in read_wheel(wheel, python=python, architecture=platform.machine()):
            yield Packed(f"{_SITE}/{inside}", content)
