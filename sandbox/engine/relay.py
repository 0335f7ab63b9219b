"""The relay kit: what is mounted read-only at /run/agentstore/bin of every sandbox, whatever its image holds.

busybox (static) is process 1's shell, nginx joins the Unix sockets to loopback. nginx comes with its own loader
and libraries, so that it runs in an image of any libc, or of none.
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
# Process 1 ended everything, since the platform had not shown itself for SANDBOX_DEAD_MAN_SECONDS (init.sh).
UNATTENDED = 75
_HERE = Path(__file__).parent
_OWN = ("init.sh", "relay.conf")
_PACKAGES = ("busybox-static", "nginx", "libnginx-mod-stream")
_PROGRAMS = ("usr/sbin/nginx", "usr/lib/nginx/modules/ngx_stream_module.so")
# May be run and not be read: the kernel then lets nobody look into or write to the memory of a process of it.
_SEALED = "sealed/busybox"


def command(*, sealed: bool) -> list[str]:
    """What process 1 is: the image's own command goes after it.

    `sealed` keeps processes of the same user out of its memory where the kernel is the host's. gVisor can't run
    what it can't read, and keeps them out by itself.
    """
    program = _SEALED if sealed else "busybox"
    return [f"{MOUNTED_AT}/{program}", "sh", f"{MOUNTED_AT}/init.sh", str(settings.SANDBOX_DEAD_MAN_SECONDS)]


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
    if (directory / "nginx").is_file():
        return directory
    _home().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_home()) as scratch:
        root, kit = Path(scratch) / "root", Path(scratch) / "kit"
        unpack_packages(fetch_packages(_PACKAGES, without=frozenset(), cache=_home() / "cache"), root)
        (kit / "lib").mkdir(parents=True)
        busybox = next(p for p in (root / "bin/busybox", root / "usr/bin/busybox") if p.exists())
        loader = next(p for p in root.glob("lib*/**/ld-linux-*.so.*") if p.is_file() and not p.is_symlink())
        shutil.copy(loader, kit / "ld.so")
        for program in (busybox, *(root / name for name in _PROGRAMS), *(_HERE / name for name in _OWN)):
            shutil.copy(program, kit)
        for library in {found for name in _PROGRAMS for found in _libraries(root, kit, root / name)}:
            shutil.copy(library, kit / "lib" / library.name)
        (kit / _SEALED).parent.mkdir()
        shutil.copy(busybox, kit / _SEALED)
        for entry in (kit, *kit.rglob("*")):
            entry.chmod(0o755)
        (kit / _SEALED).chmod(0o111)
        if not directory.exists():
            kit.rename(directory)
    return directory


def _libraries(root: Path, kit: Path, program: Path) -> list[Path]:
    """The files that the loader itself says a program needs, all of them inside `root`."""
    triplets = [p for p in (*root.glob("lib/*-linux-gnu"), *root.glob("usr/lib/*-linux-gnu")) if p.is_dir()]
    listed = subprocess.run(  # noqa: S603  (the distribution's loader, our own arguments)
        [kit / "ld.so", "--library-path", ":".join(map(str, triplets)), "--list", program],
        capture_output=True, text=True, timeout=20, check=True,
    )  # fmt: skip
    named = [line.split("=>")[1].split("(")[0].strip() for line in listed.stdout.splitlines() if "=>" in line]
    return [Path(name) for name in named if Path(name).is_relative_to(root)]


def _digest() -> str:
    own = b"".join((_HERE / name).read_bytes() for name in (*_OWN, "relay.py"))
    return hashlib.sha256(own).hexdigest()[:12]
