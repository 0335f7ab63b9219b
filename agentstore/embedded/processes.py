"""Whether a server runs, and how to end it, whoever its parent is.

The servers are nobody's children here: they outlive the command that started them. A killed one can stay a
zombie for as long as its parent does not ask for it, so a zombie counts as gone throughout.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

POLL_SECONDS = 0.05


def read_pid(pid_file: Path) -> int | None:
    """The number on the first line of a pid file; None where there is none."""
    try:
        return int(pid_file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def find_server(pid: int | None, *, program: str, directory: Path) -> psutil.Process | None:
    """The live process with this pid, if it really is the program working in that directory.

    A pid alone proves nothing: after a crash or a reboot it may belong to anybody.
    """
    if not pid:
        return None
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or program not in process.name():
            return None
        return process if Path(process.cwd()) == directory.resolve() else None
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return None


def find_servers(*, program: str, directory: Path) -> list[psutil.Process]:
    """Every live process of that program working in that directory, a killed parent's children included."""
    candidates = [process.pid for process in psutil.process_iter(["name"]) if program in process.info["name"]]
    found = (find_server(pid, program=program, directory=directory) for pid in candidates)
    return [process for process in found if process is not None]


def is_gone(process: psutil.Process) -> bool:
    """True for ended processes and zombies alike."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Ask until it is true or the time is over; says which."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def end_processes(processes: Iterable[psutil.Process], *, patience: float) -> None:
    """Ask each to end, and kill what has not ended after `patience` seconds."""
    processes = list(processes)
    for process in processes:
        _signal(process.terminate)
    if not wait_until(lambda: all(is_gone(process) for process in processes), seconds=patience):
        for process in processes:
            _signal(process.kill)
        wait_until(lambda: all(is_gone(process) for process in processes), seconds=10)


def _signal(send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        return


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Whether a server could listen there now; connections that linger from the last one do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
