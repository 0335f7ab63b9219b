"""Takes memory in every kind that there is. Each returns how far it got, if it lives to tell."""

import ctypes
import mmap
import os
import signal
import socket
import time

MIB = 1024 * 1024
# Nothing that a sandbox is given comes near it.
_ENOUGH = 1024 * MIB


def memory_hog(step=8 * MIB, pause=0.0):
    """Take memory until somebody ends us, in large steps or small ones."""
    taken = []
    while len(taken) * step < _ENOUGH:
        taken.append(b"x" * step)
        time.sleep(pause)
    return {"bytes": len(taken) * step}


def memory_in_children(children=12, each=32 * MIB):
    """Take memory in many processes at once, none of which is large; what those hold that live."""
    answers, started, holding = os.pipe(), set(), set()
    os.set_blocking(answers[0], False)
    for _ in range(children):
        child = os.fork()
        if not child:
            held = bytearray(b"x" * each)
            os.write(answers[1], os.getpid().to_bytes(4, "little"))
            time.sleep(20)
            os._exit(len(held) % 2)
        started.add(child)
    until = time.monotonic() + 8
    while time.monotonic() < until and holding != started:
        try:
            told = os.read(answers[0], 4 * children)
            holding |= {int.from_bytes(told[at : at + 4], "little") for at in range(0, len(told), 4)}
        except BlockingIOError:
            time.sleep(0.05)
        started -= {child for child in started if os.waitpid(child, os.WNOHANG)[0]}
        holding &= started
    for child in started:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    os.close(answers[0])
    os.close(answers[1])
    return {"bytes": len(holding) * each}


def memory_in_files(directory):
    """Take memory as files of a tmpfs, and hold it until we are ended or it is full."""
    written = 0
    try:
        with open(os.path.join(directory, "hog"), "wb", buffering=0) as file:
            while written < _ENOUGH:
                written += file.write(b"x" * MIB)
    except OSError:
        pass
    return {"bytes": written}


def memory_without_a_name():
    """Take memory as memfds and anonymous shared maps."""
    taken, held = 0, []
    try:
        while taken < _ENOUGH:
            descriptor = os.memfd_create("hog")
            os.ftruncate(descriptor, 8 * MIB)
            for _ in range(8):
                os.write(descriptor, b"x" * MIB)
            shared = mmap.mmap(-1, 8 * MIB)
            shared.write(b"x" * 8 * MIB)
            held.append((descriptor, shared))
            taken += 16 * MIB
    except OSError:
        pass
    return {"bytes": taken}


def memory_of_the_kernel():
    """Take the kernel's own memory: full pipes and full sockets, in many processes; what it came to."""
    total = 0
    for _ in range(24):
        answer = os.pipe()
        child = os.fork()
        if not child:
            os.write(answer[1], str(_fill_pipes_and_sockets()).encode())
            time.sleep(20)
            os._exit(0)
        os.close(answer[1])
        total += int(os.read(answer[0], 32) or 0)
        os.close(answer[0])
    return {"bytes": total}


def _fill_pipes_and_sockets():
    taken = 0
    try:
        while taken < 64 * MIB:
            _, end = os.pipe()
            os.set_blocking(end, False)
            taken += os.write(end, b"x" * 65536)
            one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            _kept.extend((one, other))
            one.setblocking(False)
            for _ in range(64):
                taken += one.send(b"x" * 16384)
    except OSError:
        pass
    return taken


_kept = []


def shared_segments():
    """Take memory as System V segments, which outlive the process that made them."""
    libc, taken = ctypes.CDLL(None, use_errno=True), 0
    libc.shmat.restype = ctypes.c_void_p
    while taken < _ENOUGH:
        number = libc.shmget(0, 8 * MIB, 0o1600)
        if number < 0:
            break
        address = libc.shmat(number, None, 0)
        if address in (None, ctypes.c_void_p(-1).value):
            break
        ctypes.memset(address, 1, 8 * MIB)
        libc.shmdt(ctypes.c_void_p(address))
        taken += 8 * MIB
    return {"bytes": taken}


def read_everything():
    """Read every file of the image, so that all of it is in the page cache."""
    size = 0
    for directory, _, names in os.walk("/usr"):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    size += len(file.read())
    return {"bytes": size}
