"""The processes of a store: started, killed, started anew, ended without a trace."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from agentstore.demo.stack import MARK, StackError
from agentstore.embedded.processes import port_is_free, wait_until
from agentstore.kit.ids import new_id
from tests.stack import StoreUnderTest, open_directory, own_services


def get_status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1].split("/")[0])


def marked(store: StoreUnderTest) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if (
                process.environ().get(MARK) == str(store.state_dir)
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def servers():
    """For small stores, which leave nothing in them."""
    directory = open_directory()
    services = own_services(directory)
    yield services
    services.remove()
    shutil.rmtree(directory)


@pytest.fixture
def small_store(servers):
    """A store of its own without tables, for tests that end it."""
    store = StoreUnderTest(open_directory(), servers)
    yield store
    store.close()


def test_all_processes_of_the_architecture_serve(stack):
    names = ["standin", "web", "gateway", "worker", "bulk", "index", "sandbox"]
    assert stack.status() == dict.fromkeys(names, True)
    assert get_status(port_of(stack.url), "/readyz") == 200


def test_what_nobody_waits_for_gives_way(stack):
    def niceness(name):
        return {process.nice() for process in stack.members(name)}

    usual = os.nice(0)
    assert wait_until(lambda: niceness("bulk") == niceness("index") == {max(1, usual)}, seconds=20)
    assert niceness("worker") == niceness("web") == {usual}


def test_the_gateway_listens_for_each_sandbox_apart_and_its_own_socket_is_ours_alone(stack):
    root = stack.run_dir / "gateway"
    assert root.stat().st_mode & 0o777 == 0o700
    assert (root / "gateway.sock").stat().st_mode & 0o777 == 0o600
    directory = root / new_id().hex
    directory.mkdir()
    try:
        assert wait_until((directory / "gateway.sock").exists, seconds=10)
        assert (directory / "gateway.sock").stat().st_mode & 0o777 == 0o666
    finally:
        shutil.rmtree(directory)


def test_a_killed_worker_takes_its_beat_along_and_comes_back(stack):
    before = {process.pid for process in stack.members("worker")}
    assert before
    stack.kill("worker")
    assert stack.members("worker") == []
    stack.restart("worker")
    after = {process.pid for process in stack.members("worker")}
    assert after
    assert not before & after


def test_the_store_outlives_its_database(stack):
    port = port_of(stack.url)
    stack.kill_server("postgres")
    try:
        assert wait_until(lambda: get_status(port, "/readyz") != 200, seconds=30)
        began = time.monotonic()
        assert get_status(port, "/readyz") == 503
        assert time.monotonic() - began < 10, "who asks whether it is ready would have given up"
        assert get_status(port, "/healthz") == 200
    finally:
        stack.services.start()
    assert wait_until(lambda: get_status(port, "/readyz") == 200, seconds=30)


def test_a_stop_leaves_no_process_and_no_port(small_store):
    small_store.start(["standin", "web"])
    assert len(marked(small_store)) == 2
    orphan = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env={**os.environ, MARK: str(small_store.state_dir)},
        start_new_session=True,
    )
    small_store.stop()
    assert orphan.wait(timeout=10) == -signal.SIGTERM
    assert marked(small_store) == []
    assert port_is_free(port_of(small_store.url))
    small_store.stop()


def test_a_second_start_changes_nothing(small_store):
    small_store.start(["standin"])
    first = marked(small_store)
    small_store.start(["standin"])
    assert marked(small_store) == first


def test_what_ends_at_once_is_reported_with_its_last_words(small_store):
    small_store.environment["AGENTSTORE_MODE"] = "live"
    with pytest.raises(StackError, match=r"standin ended at once[\s\S]*refuses to run in live mode"):
        small_store.start(["standin"])


def test_a_port_that_another_store_has_is_not_shared(small_store):
    small_store.start(["standin"])
    other = StoreUnderTest(small_store.directory / "other", small_store.services)
    other.programs["standin"] = small_store.programs["standin"]
    try:
        with pytest.raises(StackError, match="another store answers there already"):
            other.start(["standin"])
    finally:
        other.close()
