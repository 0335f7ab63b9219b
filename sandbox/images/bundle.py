"""Lays a checked source bundle on the base image. A seller's Dockerfile is never run, nor any code of the
bundle.

The files come as one layer, put into a container that is made from the base without network; the base's own
`compileall` byte-compiles them there under the sandbox's limits, and the result is kept as an image.
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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from docker.types import LogConfig
from requests.exceptions import RequestException

from sandbox.engine.client import engine_client, engine_errors
from sandbox.engine.seccomp import seccomp_profile
from sandbox.images.base import current_base
from sandbox.images.errors import ImageRefused
from sandbox.images.records import BuiltImage, find_image, inspect_image, record_image
from sandbox.images.wheels import read_wheel
from sandbox.models import Image
from sandbox.places import SANDBOX_UID
from sandbox.spec import MIB

RECIPE = "1"
RUNTIMES = ("python",)
MAX_FILES = 20_000
MAX_BYTES = 512 * MIB
_APP, _SITE = "app", "usr/local/lib/agentstore/site-packages"
_COMPILE_SECONDS = 120


def build_source(*, bundle_dir: Path, runtime: str, command: Sequence[str] | str) -> BuiltImage:
    """An image of the bundle's files under /app and its `wheels/*.whl` on Python's path.

    `runtime` is "python", or "python3.x" when the base has just that; `command` runs in /app. The same
    content gives the image that there is already. Raises ImageRefused (the developer's), BaseUnavailable or
    DriverError (ours).
    """
    base = current_base()
    python = inspect_image(base.image_id).labels.get("agentstore.python", "")
    if runtime not in (*RUNTIMES, f"python{python}", "python3"):
        raise ImageRefused(
            f"There is no runtime {runtime!r:.40} for source bundles.",
            hint=f"Use “python” ({python} here), or upload an image archive.", code="unsupported_runtime",
        )  # fmt: skip
    words = shlex.split(command) if isinstance(command, str) else list(command)
    if not words:
        raise ImageRefused("The manifest names no command to run.", code="no_command")
    with tempfile.TemporaryFile() as layer:
        digest = _write_layer(layer, Path(bundle_dir), python, seed=[RECIPE, base.image_id, words])
        if found := find_image(digest=digest, source=Image.Source.BUNDLE):
            return found
        layer.seek(0)
        image_id = _commit(layer, base.image_id, words, digest)
    facts = {"base": base.image_id, "runtime": f"python{python}", "command": words}
    return record_image(image_id=image_id, source=Image.Source.BUNDLE, digest=digest, facts=facts)


def _write_layer(layer: Any, bundle_dir: Path, python: str, *, seed: Any) -> str:
    """Write the layer's tar; the SHA-256 of all that determines the image. Raises ImageRefused."""
    digest = hashlib.sha256(json.dumps(seed).encode())
    size = 0
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for count, (name, content, executable) in enumerate(_entries(bundle_dir, python)):
            size += len(content)
            if count >= MAX_FILES:
                raise ImageRefused(f"The bundle has more than {MAX_FILES} files.", code="too_many_files")
            if size > MAX_BYTES:
                raise ImageRefused(
                    f"The bundle unpacks to more than {MAX_BYTES // MIB} MiB.", code="too_large"
                )
            member = tarfile.TarInfo(name)
            member.size, member.uid, member.gid = len(content), SANDBOX_UID, SANDBOX_UID
            member.mode = 0o755 if executable else 0o644
            tar.addfile(member, io.BytesIO(content))
            digest.update(f"{name}\0{member.mode}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()


def _entries(bundle_dir: Path, python: str) -> Iterator[tuple[str, bytes, bool]]:
    """`(path in the image, content, executable)`, in a fixed order."""
    wheels = []
    for directory, names, files in os.walk(bundle_dir):
        names.sort()
        for name in sorted([*files, *(n for n in names if (Path(directory) / n).is_symlink())]):
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
                yield f"{_APP}/{place.as_posix()}", path.read_bytes(), bool(found.st_mode & 0o100)
    for wheel in wheels:
        for inside, content in read_wheel(wheel, python=python, architecture=platform.machine()):
            yield f"{_SITE}/{inside}", content, False


def _commit(layer: Any, base_id: str, words: list[str], digest: str) -> str:
    client = engine_client()
    with engine_errors():
        container = client.containers.create(
            base_id,
            command=["python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", f"/{_APP}",
                     f"/{_SITE}"],
            user=f"{SANDBOX_UID}:{SANDBOX_UID}", network_mode="none", cap_drop=["ALL"], mem_limit=512 * MIB,
            memswap_limit=512 * MIB, pids_limit=64, cpu_period=100_000, cpu_quota=100_000,
            security_opt=["no-new-privileges:true", f"seccomp={seccomp_profile()}"],
            log_config=LogConfig(type="none"), labels={"agentstore.build": digest},
        )  # fmt: skip
        try:
            container.put_archive("/", layer)
            container.start()
            try:
                # What can't be compiled is left as it is: the agent's start will tell its developer.
                container.wait(timeout=_COMPILE_SECONDS)
            except RequestException:
                container.kill()
            image = container.commit(
                repository="agentstore/bundle",
                tag=digest[:12],
                conf={
                    "Cmd": words,
                    "WorkingDir": f"/{_APP}",
                    "Env": [f"PYTHONPATH=/{_APP}:/{_SITE}"],
                    "Labels": {"agentstore.source": "source", "agentstore.digest": digest},
                },
            )
        finally:
            container.remove(force=True, v=True)
    return str(image.id)
