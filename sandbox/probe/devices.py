"""Devices: those that are there, and those that could be made."""

import os
import stat

from trying import attempt, attempt_each

HARMLESS = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"}


def devices():
    """Device files other than the harmless ones, and what became of making one."""
    found = []
    for directory, names, files in os.walk("/dev"):
        for name in (*names, *files):
            path = os.path.join(directory, name)
            mode = os.lstat(path).st_mode
            if (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)) and name not in HARMLESS and not _is_terminal(path):
                found.append(path)
    made = attempt_each({
        name: (_make_and_open, f"/tmp/{name}", kind, os.makedev(*number))
        for name, kind, number in (
            ("mem", stat.S_IFCHR, (1, 1)),
            ("kmsg", stat.S_IFCHR, (1, 11)),
            ("sda", stat.S_IFBLK, (8, 0)),
            ("vda", stat.S_IFBLK, (254, 0)),
            ("fuse", stat.S_IFCHR, (10, 229)),
            ("kvm", stat.S_IFCHR, (10, 232)),
        )
    })  # fmt: skip
    opened = {
        path: attempt(_open, path) for path in ("/dev/mem", "/dev/kmsg", "/dev/port", "/dev/fuse", "/dev/kvm")
    }
    return {"found": found, "made": made, "opened": opened}


def _is_terminal(path):
    return path.startswith("/dev/pts/")


def _make_and_open(path, kind, number):
    os.mknod(path, kind | 0o600, number)
    _open(path)


def _open(path):
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
