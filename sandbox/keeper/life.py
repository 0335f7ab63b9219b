"""The life of one sandbox, seen by its parent process."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import sys
import time
from pathlib import Path

from sandbox.keeper import kernel, orders, processes
from sandbox.keeper.cgroups import Cgroup
from sandbox.keeper.orders import Ended, Order
from sandbox.keeper.watchdog import Watchdog

DOOR_OPTIONS = "size=1m,nr_inodes=32,mode=0777"
_STARTING_TICK, _CGROUP_TICK = 0.005, 5.0
_END_SECONDS = 10.0
_LOG_BYTES = 8192
_TROUBLE = 300
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM)


def hold(place: str, lock: int) -> int:
    """Start the sandbox ordered in that directory and stay with it in a process of its own.

    `lock` is the descriptor that holds the directory's lock: it is ours from now on. Returns in the calling
    process once gVisor runs (0) or has failed (1; `ended.json` says how).
    """
    directory = Path(place)
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        return 0 if os.read(reading, 1) == b"+" else 1
    os.close(reading)
    os.setsid()
    os.set_inheritable(lock, False)
    (directory / "keeper").write_text(str(os.getpid()))
    keeper = _Keeper(directory, orders.read_order(directory), writing)
    try:
        ended = keeper.run()
    except OSError as failed:
        keeper.end_all()
        ended = Ended(exit_code=orders.KILLED, trouble=str(failed))
    orders.write_ended(directory, ended)
    sys.stdout.flush()
    os._exit(0)


class _Keeper:
    """Runs in the process that stays."""

    def __init__(self, directory: Path, order: Order, report: int) -> None:
        self._directory, self._order, self._report = directory, order, report
        self._cgroup = Cgroup(order.cgroup_roots, order.cgroup_name) if order.cgroup_roots else None
        self._watchdog: Watchdog | None = None
        self._runsc = 0

    def run(self) -> Ended:
        """From start to end. Raises OSError where the kernel refuses what the limits need."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        kernel.adopt_orphans()
        order = self._order
        if self._cgroup is not None:
            self._cgroup.make(memory_bytes=order.memory_bytes, cpus=order.cpus, pids=order.pids)
        if order.own_namespace:
            self._open_door()
        self._runsc = self._spawn()
        if self._cgroup is None:
            self._watchdog = Watchdog(self._runsc, memory_bytes=order.memory_bytes, cpus=order.cpus)
        return self._stay()

    def end_all(self) -> None:
        """Kill and wait until nothing is left below this process. Raises TimeoutError."""
        until = time.monotonic() + _END_SECONDS
        while True:
            below = processes.descendants(os.getpid())[1:]
            processes.send(below, signal.SIGKILL)
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                break
            if time.monotonic() > until:
                raise TimeoutError(f"these do not end: {below}")
            signal.sigtimedwait([signal.SIGCHLD], 0.02)
        if self._cgroup is not None:
            self._cgroup.remove()

    def _open_door(self) -> None:
        """The door is a tmpfs that only we see; from outside it is reached through this process."""
        inside = self._directory / "door"
        inside.mkdir()
        kernel.enter_own_namespaces()
        kernel.mount_tmpfs(str(inside), DOOR_OPTIONS)
        self._point_door_to(Path(f"/proc/{os.getpid()}/root{inside}"))

    def _point_door_to(self, target: Path) -> None:
        fresh = self._directory / "door.new"
        fresh.symlink_to(target)
        door = Path(self._order.door)
        if door.is_dir() and not door.is_symlink():
            door.rmdir()
        fresh.rename(door)

    def _spawn(self) -> int:
        parent, command = os.getpid(), self._order.command
        pid = os.fork()
        if pid:
            return pid
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            kernel.die_with_parent()
            if os.getppid() != parent:
                os._exit(orders.KILLED)
            if self._cgroup is not None:
                self._cgroup.enter()
            if self._order.own_namespace:
                kernel.pretend_to_chown()
            os.execv(command[0], command)  # noqa: S606  (the order's command, no shell)
        finally:
            os._exit(126)

    def _stay(self) -> Ended:
        tick, out_of_memory, code = _STARTING_TICK, False, None
        while code is None:
            got = signal.sigtimedwait(_SIGNALS, tick)
            if got is not None and got.si_signo == signal.SIGTERM:
                code = orders.KILLED
                break
            code = self._reap()
            self._report_start()
            tick = _STARTING_TICK if self._report else _CGROUP_TICK
            if self._watchdog is not None and code is None:
                out_of_memory, look_again = self._watchdog.look(self._sandbox())
                tick = min(tick, look_again)
                if out_of_memory:
                    code = orders.KILLED
        if self._cgroup is not None:
            out_of_memory = self._cgroup.was_out_of_memory()
        self._keep_log()
        self.end_all()
        trouble = self._complaint() if self._report else ""
        return Ended(exit_code=code, out_of_memory=out_of_memory and code != 0, trouble=trouble)

    def _sandbox(self) -> int | None:
        return orders.read_number(self._directory, "started")

    def _report_start(self) -> None:
        if self._report and (self._directory / "started").exists():
            os.write(self._report, b"+")
            os.close(self._report)
            self._report = 0

    def _reap(self) -> int | None:
        """The exit code of gVisor's process once it has ended; others are only waited for."""
        code = None
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    break
                if pid == self._runsc:
                    ended = os.waitstatus_to_exitcode(status)
                    code = ended if ended >= 0 else 128 - ended
        return code

    def _complaint(self) -> str:
        """What gVisor wrote into its log, JSON objects end to end; the first is the cause of the others."""
        told = []
        with contextlib.suppress(OSError, ValueError, KeyError):
            text = (self._directory / "runsc.log").read_text(errors="replace").strip()
            while text:
                entry, end = json.JSONDecoder().raw_decode(text)
                told.append(str(entry["msg"]))
                text = text[end:].lstrip()
        return " | ".join(told)[:_TROUBLE] or "gVisor said nothing"

    def _keep_log(self) -> None:
        """The end of the log, out of the tmpfs that goes with us."""
        if not self._order.own_namespace:
            return
        last = self._directory / "last"
        shutil.rmtree(last, ignore_errors=True)
        last.mkdir()
        for name in ("log.old", "log"):
            with contextlib.suppress(OSError):
                (last / name).write_bytes(_read_end(self._directory / "door" / name))
        with contextlib.suppress(OSError):
            self._point_door_to(last)


def _read_end(path: Path) -> bytes:
    """The last bytes of a file that the agent could put anything in the place of."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return b""
        return os.pread(descriptor, _LOG_BYTES, max(0, found.st_size - _LOG_BYTES))
    finally:
        os.close(descriptor)
