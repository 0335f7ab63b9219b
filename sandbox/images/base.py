"""The base image that source bundles are laid on: Debian's Python and what it needs, nothing else.

Made from the distribution's packages, without a container registry: fetched, unpacked, stripped of setuid
bits and of what no agent reads, byte-compiled, stored. The same packages give the same digest, and an image
of that digest that the store has is used again.
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

from sandbox.driver import ImageMissing
from sandbox.images import blobs
from sandbox.images.debian import describe_package, fetch_packages, unpack_packages
from sandbox.images.records import BuiltImage, record_image
from sandbox.images.store import (
    NOTES,
    StoredImage,
    get_image,
    image_config,
    layer_path,
    note_layers,
    put_image,
    put_layer,
)
from sandbox.models import Image

RECIPE = "9"
_CURRENT = f"base-of-recipe-{RECIPE}"
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
_ENV = (
    "PATH=/usr/local/bin:/usr/bin:/bin",
    "PYTHONUNBUFFERED=1",
    "PYTHONDONTWRITEBYTECODE=1",
    "LANG=C.UTF-8",
)


def build_base() -> BuiltImage:
    """The base image, made if the store has none of the same content. Raises BaseUnavailable."""
    home = Path(settings.DATA_DIR) / "sandbox"
    home.mkdir(parents=True, exist_ok=True)
    packages = fetch_packages(_PACKAGES, without=_WITHOUT, cache=home / "cache")
    digest = hashlib.sha256("\n".join([RECIPE, *(p.name for p in packages)]).encode()).hexdigest()
    image = _made_before(f"base-{digest}") or _make(packages, digest, home)
    for note in (f"base-{digest}", _CURRENT):
        blobs.write_note(f"{NOTES}/{note}", image.image_id)
    facts = {"packages": [p.name.removesuffix(".deb").replace("%3a", ":") for p in packages]}
    return record_image(image=image, source=Image.Source.BASE, digest=digest, facts=facts)


def current_base() -> BuiltImage:
    """The base image that the store has by this recipe, else a new one. Raises BaseUnavailable."""
    image = _made_before(_CURRENT)
    if image is None:
        return build_base()
    return record_image(image=image, source=Image.Source.BASE, digest=image.labels["agentstore.digest"])


def current_base_id() -> str | None:
    """The id of the base image that builds are laid on now; None before the first was made."""
    return blobs.read_note(f"{NOTES}/{_CURRENT}")


def _made_before(note: str) -> StoredImage | None:
    """The image that a note names, if every byte of it is still right."""
    image_id = blobs.read_note(f"{NOTES}/{note}")
    try:
        image = get_image(image_id) if image_id else None
        if image is not None:
            note_layers({diff_id: layer_path(diff_id).stat().st_size for diff_id in image.layers})
    except ImageMissing:
        return None
    return image


def _make(packages: Sequence[Path], digest: str, home: Path) -> StoredImage:
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        root = Path(scratch) / "root"
        root.mkdir()
        unpack_packages(packages, root)
        _strip(root)
        _furnish(root)
        _list_packages(packages, root)
        _byte_compile(root)
        archive = Path(scratch) / "base.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(root, arcname=".", filter=_ownerless)
        python = next(p.name for p in (root / "usr/lib").glob("python3.*")).removeprefix("python")
        with archive.open("rb") as file:
            layer = put_layer(file)
    labels = {
        "agentstore.source": Image.Source.BASE.value, "agentstore.digest": digest,
        "agentstore.python": python, "agentstore.recipe": RECIPE,
    }  # fmt: skip
    config = image_config(layers=[layer.diff_id], command=(), env=_ENV, workdir="/app", labels=labels)
    return put_image(config)


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


def _list_packages(packages: Sequence[Path], root: Path) -> None:
    """What scanners read in images without dpkg: one file for each package, and which distribution it is."""
    listed = root / "var/lib/dpkg/status.d"
    listed.mkdir(parents=True)
    for package in packages:
        (listed / package.name.partition("_")[0]).write_text(describe_package(package))
    (root / "etc/os-release").write_bytes(Path("/etc/os-release").read_bytes())


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
    # What the interpreter imports meanwhile must not be kept by it: such bytecode goes by times, which no layer keeps,
    # and is then passed over as fresh.
    quiet = {"PYTHONDONTWRITEBYTECODE": "1"}
    _run(command, {"PYTHONHOME": str(root / "usr"), "PATH": os.environ.get("PATH", ""), **quiet})


def _run(command: Sequence[Path | str], env: dict[str, str]) -> None:
    subprocess.run(  # noqa: S603  (the distribution's interpreter, our own arguments)
        [str(part) for part in command], env=env, timeout=180, check=True, capture_output=True
    )


def _ownerless(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    return None if member.isdev() else member
