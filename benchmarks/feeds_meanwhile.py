"""Searching while a feed is read: a shopper who searches steadily, a worker that keeps the index."""

from __future__ import annotations

import functools
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import django

from benchmarks.catalog_rows import queries
from benchmarks.report import timed

# Searches are ten a second: a steady crowd, not a contest for the processor.
PACE_SECONDS = 0.1


def keep_index() -> None:
    """In a process of its own, as the index's worker: what changed goes into the index, new texts get vectors."""
    django.setup()
    from django.conf import settings

    from agentstore.kit.priority import give_way
    from marketplace.catalog.tasks import index_outbox

    give_way(settings.PATIENT_NICENESS)
    while True:
        index_outbox()
        time.sleep(1)


@contextmanager
def searching(*, environment: dict[str, str] | None = None) -> Iterator[list[tuple[float, float]]]:
    """Search with filters at a steady pace; gives the list that each one's instant and milliseconds are added to.

    With an environment, a worker keeps the index meanwhile.
    """
    from django.db import connection

    from agentstore.kit.money import Money
    from marketplace.catalog.search import SearchFilters, search_catalog
    from marketplace.catalog.search.embedder import embed_query

    filters = SearchFilters(max_price=Money(250_000_000, "USD"), ships_to="US")
    spent: list[tuple[float, float]] = []
    ended = threading.Event()

    def search() -> None:
        try:
            for text in itertools.cycle(queries(500)):
                if ended.wait(PACE_SECONDS):
                    return
                embed_query.cache_clear()
                took = timed(functools.partial(search_catalog, query=text, filters=filters))
                spent.append((time.monotonic(), 1000 * took))
        finally:
            connection.close()

    program = "from benchmarks.feeds_meanwhile import keep_index; keep_index()"
    worker = environment and subprocess.Popen(
        [sys.executable, "-c", program], env=environment, start_new_session=True
    )
    thread = threading.Thread(target=search)
    thread.start()
    try:
        yield spent
    finally:
        ended.set()
        thread.join()
        if worker:
            worker.terminate()
            worker.wait()
