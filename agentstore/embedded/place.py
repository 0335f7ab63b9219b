"""Which user the servers run as, and a directory and binaries that this user can reach.

`initdb` refuses root, so root drops to an unprivileged user. That user must get to the data and to the
binaries, which fails when the checkout or the virtual environment lies below a private home: then the data go
to `/var/lib/agentstore` and the binaries are copied beside them.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentstore.embedded.errors import EmbeddedError

ELSEWHERE = Path("/var/lib/agentstore/embedded")
DROP_TO = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """The user that the servers run as; `drop` when that is not the user who asks."""

    name: str
    uid: int
    gid: int
    drop: bool

    def run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command as this user, with a clean environment of its own and no standard input."""
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
        environment.update(options.pop("env", {}))
        options = {"cwd": "/", "stdin": subprocess.DEVNULL, "text": True, **options}
        if self.drop:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return subprocess.run(command, env=environment, check=False, **options)  # noqa: S603 (fixed commands of ours)

    def can(self, access: str, path: Path) -> bool:
        """Whether this user passes `test -r`, `-w` or `-x` on the path, with all the directories above it."""
        return self.run(["/bin/sh", "-c", f'test -{access} "$1"', "test", str(path)]).returncode == 0

    def own(self, path: Path) -> None:
        """Make the directory, private to this user."""
        path.mkdir(parents=True, exist_ok=True)
        if self.drop:
            os.chown(path, self.uid, self.gid)
        path.chmod(0o700)


def find_account() -> Account:
    """Ourselves; for root `postgres` where there is one, else `nobody`."""
    if os.geteuid() != 0:
        me = pwd.getpwuid(os.geteuid()) if _is_known(os.geteuid()) else None
        return Account(me.pw_name if me else str(os.geteuid()), os.geteuid(), os.getegid(), drop=False)
    for name in DROP_TO:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid, drop=True)
    raise EmbeddedError(
        f"PostgreSQL refuses to run as root, and there is no user {' or '.join(DROP_TO)}: add one."
    )


def _is_known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


@dataclass(frozen=True)
class Place:
    """Where the servers live: their account, their home directory, their binaries."""

    account: Account
    home: Path

    @classmethod
    def find(cls, directory: Path) -> Place:
        """`directory/services`, or a stand-in elsewhere when the servers' user cannot get there."""
        account = find_account()
        home = directory / "services"
        home.mkdir(parents=True, exist_ok=True)
        if account.drop and not account.can("x", home):
            digest = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:12]
            home = ELSEWHERE / digest
            home.mkdir(parents=True, exist_ok=True)
            if not account.can("x", home):
                raise EmbeddedError(
                    f"User {account.name} can reach neither {directory} nor {ELSEWHERE}: "
                    f"let it pass the directories above one of them (chmod o+x), or give another with --dir."
                )
        return cls(account, home.resolve())

    def binaries(self, source: Path, *, beside: tuple[str, ...] = ()) -> Path:
        """The directory itself where the account can run what is in it, else a copy of it.

        `beside` names sibling directories that it needs (the shared libraries of a repaired wheel).
        """
        if not source.is_dir():
            raise EmbeddedError(f"{source} is missing: run `make install`.")
        sample = next(
            path for path in sorted(source.rglob("*")) if path.is_file() and os.access(path, os.X_OK)
        )
        if self.account.can("x", sample) and self.account.can("r", source):
            return source
        package = source.parent
        target = self.home / "bin" / package.name
        stamp = target / ".copied-from"
        origin = f"{source.resolve()} {source.stat().st_mtime_ns}"
        if not (stamp.is_file() and stamp.read_text() == origin):
            shutil.rmtree(target, ignore_errors=True)
            for name in (source.relative_to(package.parent), *map(Path, beside)):
                if (package.parent / name).is_dir():
                    shutil.copytree(package.parent / name, self.home / "bin" / name, dirs_exist_ok=True)
            stamp.write_text(origin)
        _open_up(self.home / "bin")
        if not self.account.can("x", target / sample.relative_to(package)):
            raise EmbeddedError(f"User {self.account.name} cannot run what is in {target}.")
        return target / source.name


def _open_up(directory: Path) -> None:
    """Everybody may read and enter; a strict umask would have kept the servers' user out."""
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
