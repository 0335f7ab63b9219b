"""Lets two workers of one test run share PostgreSQL and Valkey: loaded (`-p`) before the settings are read.

Each worker has a Valkey database, a Celery prefix and directories of its own; pytest-django gives each a database.
"""

from __future__ import annotations

import atexit
import gc
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
import pytest
from xdist.scheduler import LoadScopeScheduling

HERE = Path(__file__).parent
# Whole stacks of processes, started in turn by one worker.
STACKS = ("e2e", "demo")
# Containers and browsers.
SLOW = ("sandbox", "publishing", "look", "conversations")
# An object's address, as it stands in the text of one that has no better.
_ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}")


def _separate(worker: str) -> None:
    services = Path(os.environ.get("AGENTSTORE_SERVICES_ENV", HERE.parent / ".run" / "services.env"))
    if services.is_file():
        environ.Env.read_env(str(services), overwrite=False)
    url = urlsplit(os.environ.get("VALKEY_URL", "redis://127.0.0.1:6379/0"))
    number = int(url.path.strip("/") or 0) + 1 + int(worker.removeprefix("gw"))
    directory = tempfile.mkdtemp(prefix=f"test-{worker}-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    os.environ.update(
        VALKEY_URL=url._replace(path=f"/{number}").geturl(),
        CELERY_KEY_PREFIX=f"test-{worker}:",
        AGENTSTORE_DATA_DIR=f"{directory}/data",
    )


if "PYTEST_XDIST_WORKER" in os.environ:
    _separate(os.environ["PYTEST_XDIST_WORKER"])


# What is loaded stays until the end: to walk it for garbage again and again takes seconds.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on there is garbage; what was there before is left out of the search for it."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that no worker is left alone with it."""
    if named := [item.nodeid for item in items if _ADDRESS.search(item.nodeid)]:
        raise pytest.UsageError(f"this name differs between two workers, give it an id: {named[0][:200]}")
    for item in items:
        if _room_of(item.nodeid) in STACKS and item.get_closest_marker("timeout") is None:
            # The first of them waits for the stack to start, whichever it is.
            item.add_marker(pytest.mark.timeout(420))
    items.sort(key=lambda item: _rank(item.nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """A file's tests stay together, for what they share; so do all that start a stack."""
    config.option.loadscopereorder = False
    return FilesTogether(config, log)


class FilesTogether(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """As `--dist loadfile`, with all stacks as one file."""

    def _split_scope(self, nodeid: str) -> str:
        return "stack" if _room_of(nodeid) in STACKS else nodeid.partition("::")[0]


def _room_of(nodeid: str) -> str:
    return nodeid.split("/", 2)[1]


def _rank(nodeid: str) -> int:
    room = _room_of(nodeid)
    return 0 if room in STACKS else 1 if room in SLOW else 2


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by their place: what collecting makes (a gzip holds the time) differs between the workers."""
    return argname if isinstance(val, bytes) else None
