"""Process 1 and the relay: what they do for an agent, and what an agent can't do to them."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.test import override_settings

from agentstore.kit.errors import StoreError
from sandbox import doors, drivers
from sandbox.engine import relay
from sandbox.places import socket_path
from sandbox.spec import Trust
from tests.sandbox.launching import Launcher
from tests.sandbox.programs import HALTING, HOSTILE, SERVE, TELLING

pytestmark = [pytest.mark.containers, pytest.mark.django_db]


def wait_for_end(driver, handle, seconds):
    until = time.monotonic() + seconds
    while (state := driver.state(handle)).running and time.monotonic() < until:
        time.sleep(0.05)
    return state


@pytest.fixture(
    scope="module",
    # Without an engine both levels of trust run alike: once is enough.
    params=[
        (name, trust)
        for name in drivers.NAMES
        for trust in Trust
        if (name, trust) != ("runsc", Trust.REVIEWED)
    ],
    ids="-".join,
)
def kind(request):
    """A driver and a level of trust."""
    name, trust = request.param
    try:
        driver = drivers.make_driver(name)
        driver.runtime_for(trust)
    except StoreError as away:
        pytest.skip(f"no {name} for {trust} code here: {away.message}")
    return SimpleNamespace(driver=driver, trust=trust)


@pytest.fixture(scope="module")
def place(kind, django_db_setup, django_db_blocker) -> Iterator[Launcher]:
    """Where sandboxes of that kind are launched, for the whole file."""
    directory = Path(tempfile.mkdtemp(prefix="as-"))
    with (
        override_settings(RUN_DIR=directory, GATEWAY_SOCKET_DIR=directory / "gateway"),
        django_db_blocker.unblock(),
    ):
        yield Launcher(kind.driver, kind.trust, directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def launched(place):
    """`launched(source)`: a sandbox that runs the program; its id and its handle."""
    with place.launching() as launch:
        yield launch


@pytest.fixture
def driver(kind):
    return kind.driver


def answers(sandbox_id, seconds=20):
    """Waits until the agent answers through the relay."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if b"Healthy" in talk(sandbox_id, b"GET /ping HTTP/1.0\r\n\r\n"):
                return
        time.sleep(0.05)
    raise AssertionError(doors.read_log(sandbox_id))


def talk(sandbox_id, data, *, half_close=False):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(socket_path(sandbox_id)))
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


@pytest.mark.parametrize(
    ("last", "code"), [("raise SystemExit(7)", 7), ("", 0), ("os.kill(os.getpid(), 9)", 137)]
)
def test_the_agents_exit_code_is_the_sandboxs(driver, launched, last, code):
    _, handle = launched(f"import os\n{last}")
    assert wait_for_end(driver, handle, 20).exit_code == code


PRELOADS = {"LD_PRELOAD": "/nowhere.so", "BASH_ENV": "/x", "ENV": "/x"}


@pytest.fixture(scope="module")
def telling(place):
    """The id of a sandbox that serves, for tests that leave it well."""
    with place.launching() as launch:
        sandbox_id, _ = launch(TELLING, env=PRELOADS)
        answers(sandbox_id)
        yield sandbox_id


def tell(sandbox_id, what):
    """What it says of itself."""
    answer = talk(sandbox_id, f"GET /{what} HTTP/1.0\r\n\r\n".encode())
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def test_orphans_are_taken_in(telling):
    """A zombie that nobody waits for holds a place among the processes that there may be."""
    until = time.monotonic() + 20
    while left := tell(telling, "zombies"):
        assert time.monotonic() < until, left
        time.sleep(0.05)


def test_process_ones_memory_is_out_of_reach(telling):
    assert tell(telling, "memory") == []


def test_the_images_preloads_do_not_enter_the_relay(telling):
    """An image may set LD_PRELOAD for its own programs; what joins the sockets is ours."""
    assert tell(telling, "preload") == PRELOADS["LD_PRELOAD"]


def test_a_half_closed_connection_still_gets_its_answer(telling):
    assert b"Healthy" in talk(telling, b"GET /ping HTTP/1.0\r\n\r\n", half_close=True)


def test_a_thousand_connections_leave_the_relay_working(telling):
    """Given up half-way, at once, and many at a time."""
    for _ in range(10):
        held = []
        for _ in range(100):
            connection = socket.socket(socket.AF_UNIX)
            connection.setblocking(False)
            with contextlib.suppress(OSError):
                connection.connect(str(socket_path(telling)))
                connection.send(b"GET /pi")
            held.append(connection)
        for connection in held:
            connection.close()
    answers(telling)


def test_a_connection_before_the_agent_listens_ends_at_once(launched):
    """So that asking again costs a few milliseconds and not a time-out."""
    sandbox_id, _ = launched("import time; time.sleep(60)")
    until = time.monotonic() + 20
    while not doors.local_door(sandbox_id).is_answering():
        assert time.monotonic() < until
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        assert talk(sandbox_id, b"GET /ping HTTP/1.0\r\n\r\n") == b""
    assert time.monotonic() - began < 2


DEAD_MAN_SECONDS = 3


@pytest.fixture(scope="module")
def unattended(place):
    """Sandboxes that nobody looks after, and one that somebody does: all at once, since each takes its time."""
    with override_settings(SANDBOX_DEAD_MAN_SECONDS=DEAD_MAN_SECONDS), place.launching() as launch:
        halting = launch(HALTING)
        begun = SimpleNamespace(halting=halting, kept=launch(SERVE + "serve()"), neglect=threading.Event())

        def attend():
            while not begun.neglect.wait(0.5):
                doors.keep_alive(begun.kept[0])

        thread = threading.Thread(target=attend, daemon=True)
        thread.start()
        try:
            begun.left, begun.hostile = launch(SERVE + "serve()"), launch(HOSTILE)
            yield begun
        finally:
            begun.neglect.set()
            thread.join()


def test_what_stays_unattended_ends_by_itself(driver, unattended, settings):
    settings.SANDBOX_DEAD_MAN_SECONDS = DEAD_MAN_SECONDS
    sandbox_id, handle = unattended.left
    state = wait_for_end(driver, handle, 20)
    assert (state.running, state.exit_code) == (False, relay.UNATTENDED)
    assert doors.was_unattended(sandbox_id)
    assert driver.state(unattended.kept[1]).running
    unattended.neglect.set()
    assert wait_for_end(driver, unattended.kept[1], 20).exit_code == relay.UNATTENDED


def test_no_agent_can_keep_itself_alive(driver, unattended):
    """It stops, signals, slows and starves whatever it can, and ignores what can be ignored."""
    assert not wait_for_end(driver, unattended.hostile[1], 60).running


def test_no_agent_can_halt_process_one(driver, kind, unattended):
    """SIGSTOP cannot be caught, and gVisor lets it through to process 1: every way to send it has to be shut."""
    facts = {finding.name: finding for finding in driver.facts()}
    arguments = facts.get(f"runtime_{kind.trust}_arguments")
    if arguments is not None and not arguments.kept:
        pytest.skip(f"gVisor is not set up as ours: {arguments.detail}")
    assert wait_for_end(driver, unattended.halting[1], 30).exit_code == relay.UNATTENDED
    assert "tried it all" in doors.read_log(unattended.halting[0])
