"""Process 1 and the relay: what they do for an agent, and what an agent can't do to them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import uuid

import pytest

from agentstore.kit.ids import new_id
from sandbox import doors
from sandbox.contract import agent_environment
from sandbox.driver import Launch
from sandbox.engine import relay
from sandbox.images import build_source
from sandbox.places import proof_stack, socket_path
from sandbox.spec import RunSpec

pytestmark = [pytest.mark.containers, pytest.mark.django_db]

SERVE = """
import http.server
class Agent(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(b'{"status": "Healthy"}')
    def log_message(self, *arguments): pass
def serve(): http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Agent).serve_forever()
"""


def wait_for_end(driver, handle, seconds):
    until = time.monotonic() + seconds
    while (state := driver.state(handle)).running and time.monotonic() < until:
        time.sleep(0.05)
    return state


@pytest.fixture
def launched(driver, trust, run_dir, tmp_path):
    """`launched(source)`: a sandbox that runs the program; its id and its handle."""
    begun: list[tuple[uuid.UUID, str]] = []

    def launch(source, **limits):
        directory = tmp_path / f"b{len(begun)}"
        directory.mkdir()
        (directory / "main.py").write_text(source)
        image = build_source(bundle_dir=directory, runtime="python", command="python3 main.py")
        spec = RunSpec(image_id=image.image_id, trust=trust, **{"cpus": 1.0, **limits})
        sandbox_id = new_id()
        started = driver.start(
            Launch(
                sandbox_id=sandbox_id, spec=spec, stack=proof_stack(), door_dir=doors.prepare(sandbox_id),
                gateway_dir=doors.prepare_gateway(sandbox_id), env=agent_environment(spec=spec, token="run_x"),
            )
        )  # fmt: skip
        begun.append((sandbox_id, started.handle))
        return sandbox_id, started.handle

    yield launch
    for sandbox_id, handle in begun:
        driver.stop(handle)
        doors.remove(sandbox_id)


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


def test_orphans_are_taken_in(launched):
    """A zombie that nobody waits for holds a place among the processes that there may be."""
    source = (
        SERVE
        + """
import os, time
for number in range(20):
    child = os.fork()
    if not child:
        os.fork()
        os._exit(0)
    os.waitpid(child, 0)
def zombies():
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            found += [line for line in open(f"/proc/{name}/status") if line.startswith("State:") and "Z" in line]
        except OSError:
            pass
    return found
while zombies():
    time.sleep(0.1)
serve()
"""
    )
    sandbox_id, _ = launched(source)
    answers(sandbox_id)


def test_what_stays_unattended_ends_by_itself(driver, launched, settings):
    settings.SANDBOX_DEAD_MAN_SECONDS = 4
    left, left_handle = launched(SERVE + "serve()")
    kept, kept_handle = launched(SERVE + "serve()")
    answers(kept)
    refresh = threading.Event()

    def attend():
        while not refresh.wait(0.5):
            doors.keep_alive(kept)

    thread = threading.Thread(target=attend, daemon=True)
    thread.start()
    try:
        state = wait_for_end(driver, left_handle, 20)
        assert (state.running, state.exit_code) == (False, relay.UNATTENDED)
        assert doors.was_unattended(left)
        assert driver.state(kept_handle).running
    finally:
        refresh.set()
        thread.join()
    assert wait_for_end(driver, kept_handle, 20).exit_code == relay.UNATTENDED


HOSTILE = (
    SERVE
    + """
import ctypes, os, resource, signal, threading, time
os.setsid()
def fails(what):
    try:
        return what()
    except (OSError, ValueError) as refused:
        return None
libc = ctypes.CDLL(None)
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    fails(lambda: signal.signal(number, signal.SIG_IGN))
def harass():
    while True:
        for number in (1, 2, 3, 10, 12, 14, 15, 18, 20, 21, 22, 19):
            fails(lambda: os.kill(1, number))
        fails(lambda: os.kill(0, 19) if os.getpid() != os.getpgid(0) else None)
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) not in (1, os.getpid()):
                fails(lambda: os.kill(int(name), 19))
        for descriptor in (0, 1, 2, 3, 4, 10, 11):
            def garble():
                opened = os.open(f"/proc/1/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
                os.write(opened, b"x" * 100); os.close(opened)
            if descriptor != 4:
                fails(garble)
        fails(lambda: os.utime("/run/agentstore/gateway/alive"))
        fails(lambda: open("/run/agentstore/gateway/alive", "w"))
        fails(lambda: os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0)))
        fails(lambda: os.setpriority(os.PRIO_PROCESS, 1, 19))
        for call, *arguments in ((101, 0x4206, 1, 0, 0), (101, 16, 1, 0, 0)):
            libc.syscall(call, *arguments)
        if not os.fork():
            if not os.fork():
                os._exit(0)
            os._exit(0)
        fails(lambda: os.waitpid(-1, os.WNOHANG))
        time.sleep(0.01)
threading.Thread(target=harass, daemon=True).start()
for _ in range(2):
    threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
serve()
"""
)


def test_no_agent_can_keep_itself_alive(driver, launched, settings):
    """It stops, signals, slows and starves whatever it can, and ignores what can be ignored."""
    settings.SANDBOX_DEAD_MAN_SECONDS = 4
    _, handle = launched(HOSTILE)
    assert not wait_for_end(driver, handle, 60).running


HALTING = (
    SERVE
    + """
import ctypes, fcntl, os
libc = ctypes.CDLL(None)
def call(*arguments):
    return libc.syscall(*(ctypes.c_long(value) for value in arguments))
STOP, WIDE = 19, 19 + 2**32
for number in (STOP, WIDE):
    for arguments in ((62, 1, number), (62, 0, number), (200, 1, number), (234, 1, 1, number), (129, 1, number, 0)):
        call(*arguments)
reading, writing = os.pipe()
try:
    fcntl.fcntl(reading, fcntl.F_SETOWN, 1)
    fcntl.fcntl(reading, 10, STOP)
    fcntl.fcntl(reading, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.write(writing, b"x")
except OSError:
    pass
for flags in (STOP, 0x8000 | STOP):
    if call(56, flags, 0, 0, 0, 0) == 0:
        os._exit(0)
wanted = (ctypes.c_uint64 * 11)()
wanted[0], wanted[4] = 0x8000, STOP
if libc.syscall(435, wanted, 88) == 0:
    os._exit(0)
serve()
"""
)


def test_no_agent_can_halt_process_one(driver, trust, launched, settings):
    """SIGSTOP cannot be caught, and gVisor lets it through to process 1: every way to send it has to be shut."""
    facts = {finding.name: finding for finding in driver.facts()}
    arguments = facts.get(f"runtime_{trust}_arguments")
    if arguments is not None and not arguments.kept:
        pytest.skip(f"gVisor is not set up as ours: {arguments.detail}")
    settings.SANDBOX_DEAD_MAN_SECONDS = 6
    sandbox_id, handle = launched(HALTING)
    answers(sandbox_id)
    assert wait_for_end(driver, handle, 30).exit_code == relay.UNATTENDED


def test_process_ones_memory_is_out_of_reach(launched):
    source = (
        SERVE
        + """
import ctypes, os
libc = ctypes.CDLL(None)
class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
mine = ctypes.create_string_buffer(8)
local = Piece(ctypes.addressof(mine), 8)
here = next(int(line.split("-")[0], 16) for line in open("/proc/self/maps"))
got = []
for mode in (os.O_RDWR, os.O_RDONLY):
    try:
        os.pread(os.open("/proc/1/mem", mode), 1, 0x400000); got.append("mem")
    except OSError: pass
if libc.process_vm_readv(1, ctypes.byref(local), 1, ctypes.byref(Piece(0x400000, 8)), 1, 0) > 0: got.append("readv")
if libc.syscall(101, 0x4206, 1, 0, 0) == 0: got.append("seize")
if got: raise SystemExit(str(got))
serve()
"""
    )
    sandbox_id, _ = launched(source)
    answers(sandbox_id)


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


def test_a_half_closed_connection_still_gets_its_answer(launched):
    sandbox_id, _ = launched(SERVE + "serve()")
    answers(sandbox_id)
    assert b"Healthy" in talk(sandbox_id, b"GET /ping HTTP/1.0\r\n\r\n", half_close=True)


def test_a_thousand_connections_leave_the_relay_working(launched):
    """Given up half-way, at once, and many at a time."""
    sandbox_id, _ = launched(SERVE + "serve()")
    answers(sandbox_id)
    for _ in range(10):
        held = []
        for _ in range(100):
            connection = socket.socket(socket.AF_UNIX)
            connection.setblocking(False)
            with contextlib.suppress(OSError):
                connection.connect(str(socket_path(sandbox_id)))
                connection.send(b"GET /pi")
            held.append(connection)
        for connection in held:
            connection.close()
    answers(sandbox_id)


def test_the_images_preloads_do_not_enter_the_relay(launched):
    """An image may set LD_PRELOAD for its own programs; what joins the sockets is ours."""
    sandbox_id, _ = launched(
        SERVE + "serve()", env={"LD_PRELOAD": "/nowhere.so", "BASH_ENV": "/x", "ENV": "/x"}
    )
    answers(sandbox_id)
