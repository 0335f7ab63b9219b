"""Fetches and unpacks Debian packages without installing them: no registry, no root, no maintainer scripts.

apt verifies every download against the signed lists of the distribution, whose mirrors and keys it is set up
with.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sandbox.images.errors import BaseUnavailable

_SECONDS = 180


def fetch_packages(names: Sequence[str], *, without: frozenset[str], cache: Path) -> list[Path]:
    """The `.deb` files of the named packages and all they depend on, less those in `without`.

    Packages that are in the cache already are not fetched again. Raises BaseUnavailable where there is no
    apt, or no mirror can be reached.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise BaseUnavailable(
            "This machine has no apt to make the base image with.",
            hint="Run the sandbox worker on Debian or Ubuntu, or in a container of either.",
        )
    archives, nothing, lists = cache / "debs", cache / "nothing", cache / "lists"
    for directory in (archives, nothing, lists):
        (directory / "partial").mkdir(parents=True, exist_ok=True)
    # apt does not name what it has fetched before, so it is asked with an empty directory.
    options = [f"Dir::Cache::archives={nothing}"]
    listed = _apt(options, "--print-uris", "install", *names)
    if listed.returncode:
        options.append(f"Dir::State::lists={lists}")
        _succeed(_apt(options, "update"))
        listed = _apt(options, "--print-uris", "install", *names)
    _succeed(listed)
    wanted = [
        name for line in listed.stdout.splitlines() if line.startswith("'") for name in [line.split()[1]]
    ]
    wanted = [name for name in wanted if name.split("_")[0] not in without]
    if missing := [name for name in wanted if not (archives / name).is_file()]:
        options[0] = f"Dir::Cache::archives={archives}"
        _succeed(_apt(options, "--download-only", "install", *(_pinned(name) for name in missing)))
    return [archives / name for name in sorted(wanted)]


def unpack_packages(packages: Sequence[Path], root: Path) -> None:
    """Lay the packages' files under `root`. No script of theirs is run."""
    for package in packages:
        _succeed(_run(["dpkg-deb", "-x", str(package), str(root)]))


def describe_package(package: Path) -> str:
    """The package's control paragraph."""
    done = _run(["dpkg-deb", "-f", str(package)])
    _succeed(done)
    return done.stdout


def _pinned(filename: str) -> str:
    name, version, _ = filename.split("_")
    return f"{name}={version.replace('%3a', ':')}"


def _apt(options: Sequence[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """apt-get as if nothing were installed, so that it names every dependency, in directories of our own."""
    settings = ["Dir::State::status=/dev/null", "Debug::NoLocking=1", "APT::Install-Recommends=0", *options]
    if os.geteuid() == 0:
        settings.append("APT::Sandbox::User=root")
    return _run(["apt-get", "-qq", "-y", *(f"-o{setting}" for setting in settings), *arguments])


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603  (the distribution's own tools, our own arguments)
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise BaseUnavailable(f"{command[0]} did not come to an end in {_SECONDS} seconds.") from late


def _succeed(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        raise BaseUnavailable(
            f"{done.args[0]} failed: {done.stderr.strip()[-300:]}",
            hint="Check that the package mirror can be reached, then run `manage.py build_base_image` again.",
        )
