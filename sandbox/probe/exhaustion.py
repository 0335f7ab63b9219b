"""What an attacker would use up from inside. Each returns how far it got; whether that is well is not
judged here.
"""

import errno
import os
import signal
import time


def fork_bomb():
    """How many processes there can be before the next is refused."""
    children = []
    try:
        while len(children) < 5000:
            child = os.fork()
            if not child:
                time.sleep(60)
                os._exit(0)
            children.append(child)
    except OSError:
        pass
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)
    return {"processes": len(children)}


def memory_hog():
    """Take memory until somebody ends us. Returns only when nobody does before 4 GiB."""
    taken = []
    for _ in range(512):
        taken.append(b"x" * (8 * 1024 * 1024))
    return {"bytes": len(taken) * 8 * 1024 * 1024}


def fill(directory):
    """How many bytes fit into a directory."""
    path = os.path.join(directory, "filler")
    written = 0
    try:
        with open(path, "wb", buffering=0) as file:
            while written < 4 * 1024**3:
                written += file.write(b"x" * 1024 * 1024)
    except OSError as full:
        return {"bytes": written, "error": errno.errorcode.get(full.errno, "")}
    finally:
        if os.path.exists(path):
            os.unlink(path)
    return {"bytes": written, "error": ""}


def many_files(directory, limit):
    """How many empty files fit into a directory, up to a limit."""
    count = 0
    try:
        while count < limit:
            os.close(os.open(os.path.join(directory, f"f{count}"), os.O_CREAT | os.O_WRONLY))
            count += 1
    except OSError as full:
        return {"files": count, "error": errno.errorcode.get(full.errno, "")}
    finally:
        for number in range(count):
            os.unlink(os.path.join(directory, f"f{number}"))
    return {"files": count, "error": ""}


def log_flood(seconds):
    """Print as fast as can be."""
    until = time.monotonic() + seconds
    lines = 0
    while time.monotonic() < until:
        os.write(1, b"flood " * 600 + b"\n")
        lines += 1
    return {"lines": lines}


def spin(seconds):
    """CPU seconds that four busy processes get in that many seconds of wall time."""
    before = os.times()
    children = []
    for _ in range(4):
        child = os.fork()
        if not child:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                pass
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    after = os.times()
    return {
        "cpu_seconds": after.children_user
        + after.children_system
        - before.children_user
        - before.children_system
    }


def open_files():
    """How many files can be open at once, up to 100 000."""
    opened = []
    try:
        while len(opened) < 100_000:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    for descriptor in opened:
        os.close(descriptor)
    return {"files": len(opened)}


def ignore_signals():
    """Wish to live for ever: every process of ours ignores what can be ignored."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        if not os.fork():
            os.setsid()
            signal.signal(number, signal.SIG_IGN)
            time.sleep(600)
            os._exit(0)
    return {"children": 4}
