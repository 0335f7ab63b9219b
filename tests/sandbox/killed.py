"""Sandbox workers that do one task and are killed (SIGKILL) right before or after one call of it.

Each is a process of its own. All are forked from one that has loaded the project and nothing else: no connection,
no thread.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

REPOSITORY = Path(__file__).resolve().parents[2]
_NURSERY = """
import json, os, signal, sys, traceback, uuid, django
from pathlib import Path
django.setup()
from django.conf import settings
from sandbox import doors, reaper, starting
from sandbox.drivers import make_driver
def work(order):
    for name, value in order["settings"].items():
        setattr(settings, name, Path(value) if name.endswith("DIR") else value)
    driver, when, what = make_driver(order["driver"]), order["when"], order["what"]
    def die(*a, **k):
        os.kill(os.getpid(), signal.SIGKILL)
    def dying(call):
        def called(*arguments, **more):
            if when == "before":
                die()
            call(*arguments, **more)
            die()
        return called
    owner, name = {
        "prepare": (doors, "prepare"), "start": (type(driver), "start"), "ready": (starting, "_finish_ready"),
        "stop": (type(driver), "stop"), "remove": (doors, "remove"),
    }[what]
    setattr(owner, name, dying(getattr(owner, name)))
    service = starting.start_sandbox if order["task"] == "start" else reaper.stop_sandbox
    service(sandbox_id=uuid.UUID(order["sandbox_id"]), driver=driver)
for line in sys.stdin:
    child = os.fork()
    if not child:
        try:
            work(json.loads(line))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Workers:
    """`die(...)` lets one begin, and returns once it is dead."""

    def __init__(self, process: subprocess.Popen[str], errors: IO[str]) -> None:
        self._process, self._errors = process, errors

    def die(self, **order: Any) -> tuple[int, str]:
        """How the worker ended, and what it wrote to stderr."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order, default=str) + "\n")
        self._process.stdin.flush()
        told = self._process.stdout.readline()
        self._errors.seek(0)
        return int(told or 0), self._errors.read()


@contextmanager
def workers(environment: dict[str, str]) -> Iterator[Workers]:
    """They share the settings that this environment makes."""
    with TemporaryFile("w+") as errors, subprocess.Popen(
        [sys.executable, "-c", _NURSERY], env={**os.environ, **environment}, cwd=REPOSITORY, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
    ) as process:  # fmt: skip
        yield Workers(process, errors)  # it ends with its input
