"""The relay kit: what is mounted read-only at /run/agentstore/bin of every sandbox, whatever its image holds.

busybox (static) is process 1's shell, socat joins the Unix sockets to loopback. socat comes with its own
loader and libraries, so that it runs in an image of any libc, or of none.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from django.conf import settings

from sandbox.driver import DriverError
from sandbox.images.debian import fetch_packages, unpack_packages
from sandbox.images.errors import BaseUnavailable

MOUNTED_AT = "/run/agentstore/bin"
COMMAND = [f"{MOUNTED_AT}/busybox", "sh", f"{MOUNTED_AT}/init"]
_INIT = Path(__file__).with_name("init.sh")
_PACKAGES = ("busybox-static", "socat")


def _home() -> Path:
    return Path(settings.DATA_DIR) / "sandbox"


def relay_kit() -> Path:
    """The directory to mount, made first where it is missing (a new release may bring another init).

    Raises DriverError when it can't be made here.
    """
    try:
        return build_relay_kit()
    except BaseUnavailable as missing:
        raise DriverError(
            f"The sandboxes' relay is not there yet: {missing.message}",
            hint="Run `manage.py build_base_image` on this host.",
        ) from missing


def build_relay_kit() -> Path:
    """Make the kit if it is not there; safe to repeat. Raises BaseUnavailable."""
    directory = _home() / f"relay-{_digest()}"
    if (directory / "socat").is_file():
        return directory
    _home().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_home()) as scratch:
        root, kit = Path(scratch) / "root", Path(scratch) / "kit"
        unpack_packages(fetch_packages(_PACKAGES, without=frozenset(), cache=_home() / "cache"), root)
        (kit / "lib").mkdir(parents=True)
        shutil.copy(next(p for p in (root / "bin/busybox", root / "usr/bin/busybox") if p.exists()), kit)
        shutil.copy(root / "usr/bin/socat", kit)
        loader = next(p for p in root.glob("lib*/**/ld-linux-*.so.*") if p.is_file() and not p.is_symlink())
        shutil.copy(loader, kit / "ld.so")
        for library in _libraries(root, kit):
            shutil.copy(library, kit / "lib" / library.name)
        shutil.copy(_INIT, kit / "init")
        for entry in (kit, *kit.rglob("*")):
            entry.chmod(0o755)
        if not directory.exists():
            kit.rename(directory)
    return directory


def _libraries(root: Path, kit: Path) -> list[Path]:
    """The files that the loader itself says socat needs, all of them inside `root`."""
    triplets = [p for p in (*root.glob("lib/*-linux-gnu"), *root.glob("usr/lib/*-linux-gnu")) if p.is_dir()]
    listed = subprocess.run(  # noqa: S603  (the distribution's loader, our own arguments)
        [kit / "ld.so", "--library-path", ":".join(map(str, triplets)), "--list", root / "usr/bin/socat"],
        capture_output=True, text=True, timeout=20, check=True,
    )  # fmt: skip
    named = [line.split("=>")[1].split("(")[0].strip() for line in listed.stdout.splitlines() if "=>" in line]
    return [Path(name) for name in named if Path(name).is_relative_to(root)]


def _digest() -> str:
    return hashlib.sha256(_INIT.read_bytes() + repr(_PACKAGES).encode()).hexdigest()[:12]
