"""Lets two workers of one test run share PostgreSQL and Valkey: loaded (`-p`) before the settings are read.

Each worker has a Valkey database, a Celery prefix and directories of its own; pytest-django gives each a database.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import environ
import pytest

HERE = Path(__file__).parent
# Whole stacks of processes, started in turn by one worker.
STACKS = ("e2e", "demo")
# An object's address, as it stands in the text of one that has no better.
_ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}")


def _separate(worker: str) -> None:
    services = Path(os.environ.get("AGENTSTORE_SERVICES_ENV", HERE.parent / ".run" / "services.env"))
    if services.is_file():
        environ.Env.read_env(str(services), overwrite=False)
    url = urlsplit(os.environ.get("VALKEY_URL", "redis://127.0.0.1:6379/0"))
    number = int(url.path.strip("/") or 0) + 1 + int(worker.removeprefix("gw"))
    directory = tempfile.mkdtemp(prefix=f"test-{worker}-")
    os.environ.update(
        VALKEY_URL=url._replace(path=f"/{number}").geturl(),
        CELERY_KEY_PREFIX=f"test-{worker}:",
        AGENTSTORE_DATA_DIR=f"{directory}/data",
    )


if "PYTEST_XDIST_WORKER" in os.environ:
    _separate(os.environ["PYTEST_XDIST_WORKER"])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests stay together, for what they share; so do all that start a stack."""
    if named := [item.nodeid for item in items if _ADDRESS.search(item.nodeid)]:
        raise pytest.UsageError(f"this name differs between two workers, give it an id: {named[0][:200]}")
    for item in items:
        room = Path(item.path).relative_to(HERE).parts[0]
        item.add_marker(pytest.mark.xdist_group("stack" if room in STACKS else str(item.path)))
        if room in STACKS and item.get_closest_marker("timeout") is None:
            # The first of them waits for the stack to start, whichever it is.
            item.add_marker(pytest.mark.timeout(420))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by their place: what collecting makes (a gzip holds the time) differs between the workers."""
    return argname if isinstance(val, bytes) else None
