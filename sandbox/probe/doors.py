"""What can be put in the place of what the host looks at: the socket, the log."""

import os
import shutil
import socket
import threading
import time

DOOR = "/run/agentstore/agent"


def replace(name, kind, target=""):
    """Put something else in a file's place: link, pipe, directory, file, socket, sparse file."""
    path = os.path.join(DOOR, name)
    _remove(path)
    _put(path, kind, target)
    return {}


def flip(name, kinds, target, seconds):
    """Change what lies in a file's place as fast as can be, in the background."""
    path, beside = os.path.join(DOOR, name), os.path.join(DOOR, "beside")

    def run():
        until = time.monotonic() + seconds
        number = 0
        while time.monotonic() < until:
            try:
                _remove(beside)
                _put(beside, kinds[number % len(kinds)], target)
                os.rename(beside, path)
            except OSError:
                pass
            number += 1

    threading.Thread(target=run, daemon=True).start()
    return {}


def _put(path, kind, target):
    if kind == "link":
        os.symlink(target, path)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        os.mkdir(path)
    elif kind == "socket":
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen()
        _kept.append(server)
    elif kind == "sparse":
        with open(path, "wb") as file:
            file.truncate(1 << 40)
    else:
        with open(path, "w") as file:
            file.write(kind)


def _remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        os.unlink(path)


_kept = []
