"""The base image that source bundles are laid on: Debian's Python and what it needs, nothing else.

Made from the distribution's packages, without a container registry: fetched, unpacked, stripped of setuid
bits and of what no agent reads, byte-compiled, imported. The same packages give the same digest, and an image
of that digest that the engine has is used again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from sandbox.engine.client import engine_client, engine_errors
from sandbox.images.debian import fetch_packages, unpack_packages
from sandbox.images.records import BuiltImage, find_image, record_image
from sandbox.models import Image

RECIPE = "6"
_PACKAGES = ("python3-minimal", "libpython3-stdlib", "libstdc++6", "tzdata", "media-types", "busybox-static")
# Dependencies of maintainer scripts, which are never run.
_WITHOUT = frozenset(
    {"dpkg", "tar", "debconf", "debianutils", "libselinux1", "libpcre2-8-0", "libmd0", "libacl1"}
)
_SHARED = "doc man lintian locale initramfs-tools bug gdb gcc perl5 binfmts apps"
_MODULES = "lib2to3 idlelib turtledemo"
_DROPPED = [
    *(f"usr/share/{name}" for name in _SHARED.split()),
    *(f"usr/lib/python3*/{name}" for name in _MODULES.split()),
    *("usr/sbin", "sbin", "etc/kernel", "usr/lib/*/gconv", "usr/lib/*/audit"),
]
_USERS = "root:x:0:0:root:/:/bin/false\nagent:x:65534:65534:agent:/tmp:/bin/sh\n"
_GROUP = "root:x:0:\nagent:x:65534:\n"


def build_base() -> BuiltImage:
    """The base image, made if the engine has none of the same content. Raises BaseUnavailable,
    DriverError.
    """
    home = Path(settings.DATA_DIR) / "sandbox"
    home.mkdir(parents=True, exist_ok=True)
    packages = fetch_packages(_PACKAGES, without=_WITHOUT, cache=home / "cache")
    digest = hashlib.sha256("\n".join([RECIPE, *(p.name for p in packages)]).encode()).hexdigest()
    if found := find_image(digest=digest, source=Image.Source.BASE):
        return found
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        root = Path(scratch) / "root"
        root.mkdir()
        unpack_packages(packages, root)
        _strip(root)
        _furnish(root)
        _byte_compile(root)
        archive = Path(scratch) / "base.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(root, arcname=".", filter=_ownerless)
        python = next(p.name for p in (root / "usr/lib").glob("python3.*")).removeprefix("python")
        image_id = _import(archive, digest, python)
    facts = {"packages": [p.name.removesuffix(".deb").replace("%3a", ":") for p in packages]}
    return record_image(image_id=image_id, source=Image.Source.BASE, digest=digest, facts=facts)


def current_base() -> BuiltImage:
    """The base image that the engine has by this recipe, else a new one. Raises BaseUnavailable,
    DriverError.
    """
    with engine_errors():
        found = engine_client().api.images(
            filters={"label": ["agentstore.source=base", f"agentstore.recipe={RECIPE}"]}
        )
    if not found:
        return build_base()
    newest = max(found, key=lambda image: image["Created"])
    digest = newest["Labels"]["agentstore.digest"]
    return record_image(image_id=newest["Id"], source=Image.Source.BASE, digest=digest)


def _import(archive: Path, digest: str, python: str) -> str:
    changes = [
        "ENV PATH=/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8",
        "WORKDIR /app",
        f"LABEL agentstore.source=base agentstore.digest={digest} agentstore.python={python}"
        f" agentstore.recipe={RECIPE}",
    ]
    with engine_errors(), archive.open("rb") as stream:
        # Tagged only so that pruning untagged images spares it; it is used by id.
        # In pieces, since the client announces chunks and would send a file whole.
        pieces = iter(lambda: stream.read(2**20), b"")
        engine_client().api.import_image_from_stream(
            pieces, repository="agentstore/base", tag=digest[:12], changes=changes
        )
        return str(engine_client().images.get(f"agentstore/base:{digest[:12]}").id)


def _strip(root: Path) -> None:
    for pattern in _DROPPED:
        for found in root.glob(pattern):
            shutil.rmtree(found, ignore_errors=True)
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o755)


def _furnish(root: Path) -> None:
    """What a system that was never installed lacks: users, a shell, a directory for the agent."""
    for name in ("tmp", "app", "etc", "proc", "sys", "dev", "run", "usr/local/bin", "bin", "usr/bin"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text(_USERS)
    (root / "etc/group").write_text(_GROUP)
    for name in ("sh", "cat", "ls", "env", "sleep", "head", "tail", "grep"):
        link = root / "bin" / name
        if not link.exists():
            link.symlink_to("busybox")
    if not (root / "usr/bin/env").exists():
        (root / "usr/bin/env").symlink_to("/bin/busybox")
    if not (root / "usr/bin/python").exists():
        (root / "usr/bin/python").symlink_to("python3")


def _byte_compile(root: Path) -> None:
    """By the image's own interpreter under its own loader; halves the time that a Python program takes to
    start.
    """
    loader = next(p for p in root.glob("lib*/**/ld-linux-*.so.*") if p.is_file() and not p.is_symlink())
    libraries = ":".join(
        str(p) for p in (*root.glob("lib/*-linux-gnu"), *root.glob("usr/lib/*-linux-gnu")) if p.is_dir()
    )
    interpreter = (root / "usr/bin/python3").resolve()
    standard = next(p for p in (root / "usr/lib").glob("python3.*") if p.is_dir())
    command: list[Path | str] = [
        *(loader, "--library-path", libraries, interpreter, "-m", "compileall", "-q", "-j", "0"),
        *("--invalidation-mode", "unchecked-hash", "-s", root, "-p", "/", standard),
    ]
    _run(command, {"PYTHONHOME": str(root / "usr"), "PATH": os.environ.get("PATH", "")})


def _run(command: Sequence[Path | str], env: dict[str, str]) -> None:
    subprocess.run(  # noqa: S603  (the distribution's interpreter, our own arguments)
        [str(part) for part in command], env=env, timeout=180, check=True, capture_output=True
    )


def _ownerless(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    return None if member.isdev() else member
