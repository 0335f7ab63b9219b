"""A store of a benchmark's own: a database made for it and dropped at the end, an index in a temporary directory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def own_store(name: str) -> Iterator[Path]:
    """Django set up on an empty database on the server of DATABASE_URL; gives the directory of its data."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentstore.settings")
    os.environ["TEST_DATABASE_NAME"] = f"bench_{name}_{os.getpid()}"
    with tempfile.TemporaryDirectory() as directory:
        os.environ["AGENTSTORE_DATA_DIR"] = directory

        import django

        django.setup()
        from django.conf import settings
        from django.db import connection

        settings.DEBUG = False
        settings.DATA_DIR = Path(directory)
        before = connection.settings_dict["NAME"]
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        try:
            yield Path(directory)
        finally:
            connection.creation.destroy_test_db(before, verbosity=0)
            connection.settings_dict["NAME"] = before
