"""The whole store for one test session: processes, PostgreSQL and Valkey of its own, gone at the end.

Its servers are apart from those of the other tests, so that a test may kill any of them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from agentstore.demo.stack import Stack
from agentstore.embedded import Services
from agentstore.embedded.processes import free_port

CALL = """
import json, sys, django
django.setup()
from django.utils.module_loading import import_string
call = json.loads(sys.argv[1])
print("\\n" + json.dumps(import_string(call["function"])(**call["arguments"]), default=str))
"""


class StoreUnderTest(Stack):
    """A stack with its services, and ways to look inside."""

    def __init__(self, directory: Path, services: Services | None = None) -> None:
        """With servers of its own, or with some that others use too and that stay when this one ends."""
        self.directory = directory
        self._borrowed = services is not None
        self.services = services or own_services(directory)
        urls = self.services.start()
        super().__init__(
            directory / "state",
            run_dir=directory / "run",
            web_port=free_port(),
            standin_port=free_port(),
            environment={
                **urls,
                "AGENTSTORE_SERVICES_ENV": "/nonexistent",
                "AGENTSTORE_DATA_DIR": str(directory / "data"),
                "EMAIL_URL": f"filemail:///{directory / 'mail'}",
                "DATABASE_POOL_SIZE": "8",
                "PPCV_QUARANTINE_SECONDS": "1",
                # The tests take all of the machine, and wait for what an index leads to.
                "PATIENT_NICENESS": "1",
            },
            say=_quiet,
        )

    def sql(self, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """The rows that a query gives, read beside the store's own processes."""
        with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def call(self, function: str, **arguments: Any) -> Any:
        """Call a function of the project on this store in a process of its own; its answer by way of JSON."""
        call = json.dumps({"function": function, "arguments": arguments})
        return json.loads(self.run_python("-c", CALL, call).splitlines()[-1])

    def kill_server(self, name: str) -> None:
        """kill -9 for `postgres` or `valkey`."""
        os.kill(self.services.processes()[name], signal.SIGKILL)

    def close(self) -> None:
        """End everything and leave nothing: no process, no container, no file."""
        try:
            self.stop()
        finally:
            if not self._borrowed:
                self.services.remove()
            shutil.rmtree(self.directory, ignore_errors=True)


def own_services(directory: Path) -> Services:
    """PostgreSQL and Valkey below the directory, not yet started, whatever the environment has."""
    return Services(directory / "services", environ={}, throwaway=True, say=_quiet)


def open_directory() -> Path:
    """Short, since the path of a Unix socket has 107 bytes; open, since PostgreSQL may run as another user."""
    directory = Path(tempfile.mkdtemp(prefix="store-", dir="/tmp"))
    directory.chmod(0o755)
    return directory


def _quiet(line: str) -> None:
    """Says nothing."""


@pytest.fixture(scope="session")
def stack() -> Iterator[StoreUnderTest]:
    """The running store, migrated and empty."""
    store = StoreUnderTest(open_directory())
    try:
        store.manage("migrate", "--no-input")
        store.start()
        yield store
    finally:
        store.close()
