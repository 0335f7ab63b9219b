"""Fills whatever can be written to. Each returns how far it got."""

import os
import sys
import time

from trying import name_of


def fill(directory):
    """How many bytes fit into a directory."""
    path = os.path.join(directory, "filler")
    written = 0
    try:
        with open(path, "wb", buffering=0) as file:
            while written < 1024**3:
                written += file.write(b"x" * 1024 * 1024)
    except OSError as full:
        return {"bytes": written, "error": name_of(full.errno)}
    finally:
        if os.path.exists(path):
            os.unlink(path)
    return {"bytes": written, "error": ""}


def many_files(directory, limit):
    """How many empty files fit into a directory, up to a limit."""
    count = 0
    error = ""
    try:
        while count < limit:
            os.close(os.open(os.path.join(directory, f"f{count}"), os.O_CREAT | os.O_WRONLY))
            count += 1
    except OSError as full:
        error = name_of(full.errno)
    for number in range(count):
        os.unlink(os.path.join(directory, f"f{number}"))
    return {"files": count, "error": error}


def writable_directories():
    """Every directory of the whole tree that takes a file, and of which file system it is."""
    found = []
    for directory, names, _ in os.walk("/"):
        if directory.startswith(("/proc", "/sys")):
            names.clear()
            continue
        path = os.path.join(directory, ".probe")
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
            os.unlink(path)
            found.append(directory)
        except OSError:
            continue
    return {"found": found}


def log_flood(seconds, without_lines=False):
    """Print as fast as can be."""
    until = time.monotonic() + seconds
    piece = b"flood " * 600 + (b"" if without_lines else b"\n")
    count = 0
    while time.monotonic() < until:
        os.write(1, piece)
        os.write(2, piece)
        count += 2
    return {"pieces": count, "interpreter": sys.version_info[:2]}
