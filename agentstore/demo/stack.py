"""Starts, watches and ends the store's processes; the demo and the end-to-end tests use the same class.

Each process leads a session of its own, writes to `logs/<name>.log` and carries a mark in its environment.
The mark finds it, and whatever it started, from any later command: after a crash as well, when no pid file
would be true any more.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from agentstore.demo.programs import Addresses, Program, interpreter, programs
from agentstore.embedded.processes import is_gone, wait_until

MARK = "AGENTSTORE_STACK_DIR"
PROGRAM = "AGENTSTORE_PROGRAM"
REPOSITORY = Path(__file__).resolve().parent.parent.parent
SOURCES = {
    "agentstore": "*.py",
    "marketplace": "*.py",
    "sandbox": "*.py",
    "billing": "*.py",
    "templates": "*.*",
}
START_SECONDS = 90
STOP_SECONDS = 15


class StackError(Exception):
    """A process did not start or stop. The text names its log and what it said last."""


class Stack:
    """The processes of one store, kept below `state_dir`."""

    def __init__(
        self,
        state_dir: Path,
        *,
        run_dir: Path,
        web_port: int,
        standin_port: int,
        environment: Mapping[str, str],
        say: Callable[[str], None] = print,
    ) -> None:
        """`environment` holds at least DATABASE_URL and VALKEY_URL; it is laid over our own."""
        self.state_dir = state_dir.resolve()
        self.run_dir = run_dir
        self.url = f"http://127.0.0.1:{web_port}"
        self.environment = {
            "SITE_URL": self.url,
            "STRIPE_API_BASE": f"http://127.0.0.1:{standin_port}",
            "AGENTSTORE_RUN_DIR": str(run_dir),
            "CELERY_KEY_PREFIX": "agentstore:",
            "SANDBOX_STACK": hashlib.sha256(str(self.state_dir).encode()).hexdigest()[:12],
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        addresses = Addresses(
            run_dir=run_dir,
            state_dir=self.state_dir,
            web_port=web_port,
            standin_port=standin_port,
            valkey_url=self.environment["VALKEY_URL"],
            key_prefix=self.environment["CELERY_KEY_PREFIX"],
            host=self.command_environment().get("SANDBOX_HOST") or socket.gethostname(),
        )
        self.programs = {program.name: program for program in programs(addresses)}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._say = say

    def start(self, names: Sequence[str] | None = None) -> None:
        """Start what does not run and wait until all is ready. Raises StackError."""
        chosen = [self.programs[name] for name in names or self.programs]
        self._make_directories()
        fresh = [program for program in chosen if not self.members(program.name)]
        for program in fresh:
            if program.is_ready():
                raise StackError(
                    f"{program.name}: another store answers there already; stop it, or set other places."
                )
            self._spawn(program)
        for program in chosen:
            self.wait_ready(program.name)
            self._say(f"{program.name}: {'started' if program in fresh else 'running'}")

    def stop(self) -> None:
        """End all processes, politely first, then the sandboxes they leave; harmless when none runs.

        Sandboxes are the sandbox worker's: where it never ran there are none.
        """
        self._end(self.members(), patience=STOP_SECONDS)
        if self.run_dir.exists():
            if self.log("sandbox").exists():
                self.run_python("-m", "agentstore.demo.sandboxes")
            (self.run_dir / "gateway" / "gateway.sock").unlink(missing_ok=True)

    def stop_outdated(self) -> None:
        """End the processes that started before the code was last changed."""
        files = (path for folder, kind in SOURCES.items() for path in (REPOSITORY / folder).rglob(kind))
        changed = max(path.stat().st_mtime for path in files)
        outdated = [process for process in self.members() if process.create_time() < changed]
        if outdated:
            self._say("the code has changed: starting the store anew")
            self._end(self.members(), patience=STOP_SECONDS)

    def status(self) -> dict[str, bool]:
        """Per process whether it is ready."""
        return {
            name: bool(self.members(name)) and program.is_ready() for name, program in self.programs.items()
        }

    def is_running(self) -> bool:
        """Whether any process of this stack lives."""
        return bool(self.members())

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a process and all that it started; after SIGKILL wait until they are gone."""
        members = self.members(name)
        for process in members:
            _send(process, number)
        if number == signal.SIGKILL:
            self._wait_gone(members, seconds=10)

    def restart(self, name: str) -> None:
        """End one process, if it runs, and start it anew."""
        self._end(self.members(name), patience=STOP_SECONDS)
        self.start([name])

    def wait_ready(self, name: str, *, seconds: float = START_SECONDS) -> None:
        """Wait until it serves. Raises StackError when it dies or takes too long."""
        program = self.programs[name]

        def settled() -> bool:
            return program.is_ready() or not self.members(name)

        if wait_until(settled, seconds=seconds) and self.members(name):
            return
        problem = "does not answer" if self.members(name) else "ended at once"
        raise StackError(f"{name} {problem}; the end of {self.log(name)} says:\n{self.log_end(name)}")

    def log(self, name: str) -> Path:
        """The file with all that a process has written."""
        return self.state_dir / "logs" / f"{name}.log"

    def log_end(self, name: str, lines: int = 20) -> str:
        """The last lines of it."""
        if not self.log(name).is_file():
            return ""
        return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-lines:])

    def command_environment(self) -> dict[str, str]:
        """The environment in which a management command sees this store."""
        return {**os.environ, **self.environment}

    def manage(self, *arguments: str, timeout: float | None = None) -> str:
        """Run a management command on this store; its output. Raises StackError with what it said."""
        return self.run_python(str(REPOSITORY / "manage.py"), *arguments, timeout=timeout)

    def run_python(self, *arguments: str, timeout: float | None = None) -> str:
        """Run Python on this store; its output. Raises StackError with what it said."""
        finished = subprocess.run(  # noqa: S603 (our own interpreter and files)
            [interpreter(), *arguments],
            env=self.command_environment(),
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if finished.returncode:
            told = "\n".join((finished.stdout + finished.stderr).splitlines()[-20:])
            raise StackError(f"`{' '.join(arguments[:2])}` failed:\n{told}")
        return finished.stdout

    def _spawn(self, program: Program) -> None:
        marks = {MARK: str(self.state_dir), PROGRAM: program.name}
        with self.log(program.name).open("ab") as log:
            self._children[program.name] = subprocess.Popen(  # noqa: S603 (the table in programs.py)
                [interpreter(), *program.arguments],
                env={**self.command_environment(), **marks},
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def members(self, name: str | None = None) -> list[psutil.Process]:
        """The live processes of this stack, or of one program of it, found by their mark."""
        for child in self._children.values():
            child.poll()  # so that a dead child of ours is no zombie
        found = []
        for process in psutil.process_iter():
            try:
                if process.uids().real != os.getuid() or is_gone(process):
                    continue
                environment = process.environ()
            except (psutil.Error, OSError):
                continue
            if environment.get(MARK) == str(self.state_dir) and name in (None, environment.get(PROGRAM)):
                found.append(process)
        return found

    def _end(self, processes: list[psutil.Process], *, patience: float) -> None:
        for process in processes:
            _send(process, signal.SIGTERM)
        if not self._wait_gone(processes, seconds=patience):
            for process in processes:
                _send(process, signal.SIGKILL)
            if not self._wait_gone(processes, seconds=10):
                raise StackError(f"These processes do not end: {[process.pid for process in processes]}")

    def _wait_gone(self, processes: list[psutil.Process], *, seconds: float) -> bool:
        return wait_until(lambda: all(is_gone(process) for process in processes), seconds=seconds)

    def _make_directories(self) -> None:
        (self.state_dir / "logs").mkdir(parents=True, exist_ok=True)
        self.run_dir.mkdir(parents=True, exist_ok=True)
        if self.run_dir.stat().st_uid != os.getuid():
            raise StackError(
                f"{self.run_dir} belongs to somebody else: set AGENTSTORE_RUN_DIR to another place."
            )
        self.run_dir.chmod(0o755)


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
