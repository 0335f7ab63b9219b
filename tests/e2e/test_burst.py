"""Many conversations at once: none fails, none shares a sandbox, memory stays bounded, nothing is left behind."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.e2e.conftest import wait
from tests.e2e.crowd import Visit, close_all, send_crowd
from tests.stack import StoreUnderTest

# What a sandbox of the slow agent may hold by its manifest, with gVisor's own share and the relay's.
SANDBOX_BYTES = 200 * 2**20


class Watch:
    """The most live sandboxes and the most memory in use that were seen."""

    def __init__(self, store: StoreUnderTest) -> None:
        self.store = store
        self.before = psutil.virtual_memory().used
        self.memory = self.live = 0

    def look(self) -> None:
        self.memory = max(self.memory, psutil.virtual_memory().used - self.before)
        self.live = max(self.live, live_sandboxes(self.store))


@contextmanager
def every(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    """Do something again and again meanwhile."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(seconds):
            act()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def live_sandboxes(store: StoreUnderTest) -> int:
    query = "SELECT count(*) FROM sandbox_sandbox WHERE status IN ('starting', 'warm', 'claimed')"
    return int(store.sql(query)[0][0])


def places(store: StoreUnderTest) -> int:
    return int(store.sql("SELECT sum(places) FROM sandbox_host WHERE status = 'up'")[0][0])


def burst(store: StoreUnderTest, number: int, *, patience: float) -> list[Visit]:
    watch = Watch(store)
    with every(0.5, watch.look):
        visits = send_crowd(store.url, "slowpoke", ["Anything, briefly"] * number, patience=patience)
    broken = Counter(visit.detail or visit.ended for visit in visits if visit.ended != "done")
    assert not broken
    assert all("I found something" in visit.said for visit in visits)
    assert watch.live <= places(store)
    assert watch.memory < places(store) * SANDBOX_BYTES
    return visits


def assert_none_was_shared(store: StoreUnderTest, visits: list[Visit]) -> None:
    """Each conversation had a sandbox, and no sandbox two: a row keeps the only claim that it ever had."""
    keys = [f"conversation:{visit.conversation}" for visit in visits]
    rows = store.sql(
        "SELECT s.claim_key, s.id, count(c.id) FROM sandbox_sandbox s JOIN sandbox_sandboxstatuschange c"
        " ON c.sandbox_id = s.id AND c.to_status = 'claimed' WHERE s.claim_key = ANY(%s) GROUP BY s.id",
        [keys],
    )
    assert {key for key, _, _ in rows} == set(keys)
    assert all(claims == 1 for _, _, claims in rows)


def assert_nothing_is_left(store: StoreUnderTest, visits: list[Visit]) -> None:
    close_all(store.url, visits)
    keys = [f"conversation:{visit.conversation}" for visit in visits]
    unremoved = "SELECT count(*) FROM sandbox_sandbox WHERE claim_key = ANY(%s) AND removed_at IS NULL"
    wait(lambda: store.sql(unremoved, [keys])[0][0] == 0, "all their sandboxes are removed", seconds=120)

    def all_have_rows() -> bool:
        running = store.call("tests.e2e.world.running_sandboxes")
        kept = store.sql("SELECT id FROM sandbox_sandbox WHERE removed_at IS NULL")
        return set(running) <= {str(pk) for (pk,) in kept}

    wait(all_have_rows, "nothing runs that no row speaks of", seconds=60)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_more_shoppers_than_places_are_all_served(agents: StoreUnderTest):
    visits = burst(agents, places(agents) + 6, patience=240)
    assert_none_was_shared(agents, visits)
    assert_nothing_is_left(agents, visits)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_two_hundred_conversations_in_a_burst(agents: StoreUnderTest):
    visits = burst(agents, 200, patience=900)
    assert_none_was_shared(agents, visits)
    assert_nothing_is_left(agents, visits)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_two_hundred_conversations_while_the_supervisor_is_killed_twice(agents: StoreUnderTest):
    kills = iter([1, 2])

    def kill() -> None:
        if next(kills, None):
            agents.kill("sandbox")
            agents.start(["sandbox"])

    with every(15, kill):
        visits = burst(agents, 200, patience=900)
    assert next(kills, None) is None, "both kills fell into the burst"
    assert_none_was_shared(agents, visits)
    assert_nothing_is_left(agents, visits)
