"""Both services together: one state file, one lock, one file of settings for the project to read."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentstore.embedded import processes
from agentstore.embedded.errors import EmbeddedError
from agentstore.embedded.place import Place
from agentstore.embedded.postgres import Postgres
from agentstore.embedded.valkey import Valkey

PORT_TRIES = 4
Say = Callable[[str], None]


class Services:
    """PostgreSQL and Valkey below one directory.

    `state.json` (0600) remembers ports and passwords, `services.env` (0600) tells the project where to
    connect. A service whose URL is set in `environ` is somebody else's: neither started nor written down.
    """

    def __init__(
        self,
        directory: Path,
        *,
        environ: Mapping[str, str] = os.environ,
        throwaway: bool = False,
        say: Say = print,
    ) -> None:
        self.directory = directory.resolve()
        self.env_file = self.directory / "services.env"
        self._state_file = self.directory / "services" / "state.json"
        self._environ = environ
        self._throwaway = throwaway
        self._say = say

    def start(self) -> dict[str, str]:
        """Start what does not run; the URLs of our services by variable. Raises EmbeddedError."""
        with self._locked():
            state = self._load() or self._new_state()
            urls: dict[str, str] = {}
            for kind, service in self._ours(state):
                if service.process is not None and service.answers():
                    self._say(f"{service.name}: running on 127.0.0.1:{service.port}")
                else:
                    service = self._start_one(kind, service, state)
                    self._say(f"{service.name}: started on 127.0.0.1:{service.port}")
                urls[service.variable] = service.url
            self._write(self.env_file, "".join(f"{name}={url}\n" for name, url in urls.items()))
            return urls

    def stop(self) -> None:
        """End our services; harmless when none runs."""
        with self._locked():
            state = self._load()
            if state is None:
                self._say("embedded services: none here")
                return
            for _, service in self._services(state):
                running = service.process is not None
                service.stop()
                self._say(f"{service.name}: {'stopped' if running else 'was not running'}")

    def remove(self) -> None:
        """End our services and delete their data."""
        self.stop()
        state = self._load()
        if state is not None:
            shutil.rmtree(state["home"], ignore_errors=True)
            self.env_file.unlink(missing_ok=True)
        shutil.rmtree(self.directory / "services", ignore_errors=True)

    def status(self) -> dict[str, bool]:
        """Per service of ours whether it runs and answers."""
        state = self._load()
        if state is None:
            return {}
        return {
            service.name: service.process is not None and service.answers()
            for _, service in self._ours(state)
        }

    def urls(self) -> dict[str, str]:
        """What `start` returned last, without starting anything."""
        state = self._load()
        return {} if state is None else {service.variable: service.url for _, service in self._ours(state)}

    def processes(self) -> dict[str, int]:
        """The pid of each running server; the tests kill them by it."""
        state = self._load() or {}
        found = {kind: service.process for kind, service in self._services(state)} if state else {}
        return {kind: process.pid for kind, process in found.items() if process is not None}

    def _start_one(self, kind: str, service: Postgres | Valkey, state: dict[str, Any]) -> Postgres | Valkey:
        """Start it on its remembered port, or on another if somebody has taken that meanwhile."""
        for attempt in range(PORT_TRIES):
            service.stop()
            if attempt or not processes.port_is_free(service.port):
                state[kind]["port"] = processes.free_port()
                self._save(state)
                self._say(f"{service.name}: its port was taken, now on {state[kind]['port']}")
                service = dict(self._services(state))[kind]
            try:
                service.start()
            except EmbeddedError:
                if processes.port_is_free(service.port) or attempt == PORT_TRIES - 1:
                    raise
            else:
                return service
        raise AssertionError("unreachable")

    def _ours(self, state: dict[str, Any]) -> list[tuple[str, Postgres | Valkey]]:
        chosen = []
        for kind, service in self._services(state):
            if self._environ.get(service.variable):
                self._say(f"{service.name}: {service.variable} is set in the environment, so yours is used")
            else:
                chosen.append((kind, service))
        return chosen

    def _services(self, state: dict[str, Any]) -> list[tuple[str, Postgres | Valkey]]:
        place = Place.find(self.directory)
        return [
            ("postgres", Postgres(place, throwaway=state["throwaway"], **state["postgres"])),
            ("valkey", Valkey(place, **state["valkey"])),
        ]

    def _new_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            kind: {"port": processes.free_port(), "password": secrets.token_urlsafe(24)}
            for kind in ("postgres", "valkey")
        }
        state["home"] = str(Place.find(self.directory).home)
        state["throwaway"] = self._throwaway
        self._save(state)
        return state

    def _load(self) -> dict[str, Any] | None:
        try:
            state: dict[str, Any] = json.loads(self._state_file.read_text())
        except FileNotFoundError:
            return None
        return state

    def _save(self, state: dict[str, Any]) -> None:
        self._write(self._state_file, json.dumps(state, indent=1))

    def _write(self, path: Path, text: str) -> None:
        """Whole or not at all, and readable by its owner alone: there are passwords in it."""
        unfinished = path.with_suffix(".tmp")
        unfinished.unlink(missing_ok=True)
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
        unfinished.replace(path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One command at a time; a second one waits and then finds the work done."""
        (self.directory / "services").mkdir(parents=True, exist_ok=True)
        with (self.directory / "services.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
