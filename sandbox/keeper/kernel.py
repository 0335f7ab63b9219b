"""The few calls of the Linux kernel that Python's library has no name for. Errors are OSError."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 22, 36, 38
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 0x4000, 0x40000
# chown, fchown, lchown, fchownat by machine, and the number that seccomp knows the machine by.
_CHOWNS = {
    "x86_64": (0xC000003E, (92, 93, 94, 260)),
    "aarch64": (0xC00000B7, (54, 55)),
}
_ALLOW, _ANSWER_ZERO = 0x7FFF0000, 0x00050000


def _checked(answer: int, what: str) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def adopt_orphans() -> None:
    """Whatever loses its parent below us becomes our child, so that we can wait for all of it."""
    _checked(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "subreaper")


def die_with_parent() -> None:
    """This process is killed when its parent ends, for whatever reason."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "parent death signal")


def enter_own_namespaces() -> None:
    """A user namespace in which we are root and nobody else exists, and mounts of our own."""
    user, group = os.geteuid(), os.getegid()
    _checked(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS), "user namespace")
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
    _checked(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "private mounts")


def mount_tmpfs(directory: str, options: str) -> None:
    """A file system in memory, of which nothing can be executed."""
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    _checked(_libc.mount(b"agentstore", os.fsencode(directory), b"tmpfs", flags, options.encode()), directory)


def pretend_to_chown() -> None:
    """From now on a change of owner does nothing and succeeds, in this process and all that it starts.

    gVisor gives each file that a sandbox makes to the sandbox's user, whom a namespace of one user does not
    know; it refuses the file when it can't. The filter is classic BPF (seccomp(2)).
    """
    architecture, numbers = _CHOWNS[platform.machine()]
    load, equal, give = 0x20, 0x15, 0x06
    rest = len(numbers) + 1
    program = [(load, 0, 0, 4), (equal, 0, rest, architecture), (load, 0, 0, 0)]
    for index, number in enumerate(numbers):
        program.append((equal, len(numbers) - index, 0, number))
    program += [(give, 0, 0, _ALLOW), (give, 0, 0, _ANSWER_ZERO)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    # struct sock_fprog: a length, padding up to the pointer, the pointer.
    told = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code))
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    _checked(_libc.prctl(_PR_SET_SECCOMP, 2, ctypes.c_char_p(told), 0, 0), "seccomp")
