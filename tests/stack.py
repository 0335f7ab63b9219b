"""The whole store for one test session: processes, PostgreSQL and Valkey of its own, gone at the end.

Its servers are apart from those of the other tests, so that a test may kill any of them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from agentstore.demo.programs import interpreter
from agentstore.demo.stack import REPOSITORY, Stack, StackError
from agentstore.embedded import Services
from agentstore.embedded.processes import free_port

# What is printed on the way goes to the log. A test may kill a server: no call gets a connection of an earlier one.
CALLS = """
import json, os, sys, traceback
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
import django
django.setup()
from django.db import connection
from django.utils.module_loading import import_string
for line in sys.stdin:
    call = json.loads(line)
    try:
        answer = {"answer": import_string(call["function"])(**call["arguments"])}
    except Exception:
        answer = {"failure": traceback.format_exc()}
    connection.close()
    connection.close_pool()
    print(json.dumps(answer, default=str), file=answers, flush=True)
"""


class StoreUnderTest(Stack):
    """A stack with its services, and ways to look inside."""

    def __init__(self, directory: Path, services: Services | None = None) -> None:
        """With servers of its own, or with some that others use too and that stay when this one ends."""
        self.directory = directory
        self._borrowed = services is not None
        self._caller: subprocess.Popen[str] | None = None
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
        """Call a function of the project on this store, in a process beside it; its answer by way of JSON.

        All calls are of one process: to start Django takes longer than most of them. Raises StackError.
        """
        if self._caller is None:
            self._caller = self._start_caller()
        asked, told = self._caller.stdin, self._caller.stdout
        assert asked is not None
        assert told is not None
        asked.write(json.dumps({"function": function, "arguments": arguments}) + "\n")
        asked.flush()
        line = told.readline()
        answer = json.loads(line) if line else {"failure": "its process is gone"}
        if "failure" in answer:
            raise StackError(f"{function} failed:\n{answer['failure']}")
        return answer["answer"]

    def _start_caller(self) -> subprocess.Popen[str]:
        with (self.directory / "calls.log").open("ab") as log:
            return subprocess.Popen(
                [interpreter(), "-c", CALLS],
                env=self.command_environment(),
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def kill_server(self, name: str) -> None:
        """kill -9 for `postgres` or `valkey`."""
        os.kill(self.services.processes()[name], signal.SIGKILL)

    def close(self) -> None:
        """End everything and leave nothing: no process, no container, no file."""
        try:
            if self._caller is not None:
                self._caller.kill()
                self._caller.communicate()
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
