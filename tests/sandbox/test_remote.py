"""Doors of sandboxes on another host: who is let in, and whose fault it is when nobody answers."""

from __future__ import annotations

import asyncio
import contextlib
import uuid

import pytest
from asgiref.sync import sync_to_async

from agentstore.kit.ids import new_id
from agentstore.kit.threads import in_thread
from sandbox import protocols
from sandbox.doors import local_door
from sandbox.failures import AgentFailure, Fault
from sandbox.models import Sandbox
from sandbox.places import door_dir, socket_path
from sandbox.protocols import Done, InvokeRequest
from sandbox.remote import preface
from sandbox.remote.door import RemoteDoor, door_to
from sandbox.remote.server import DoorServer
from sandbox.spec import RunSpec
from tests.certificates import self_signed
from tests.sandbox.conftest import SOME_IMAGE, known_host
from tests.sandbox.servers import answer, repeating, saying, serving, warm_row

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("run_dir")]
SPEC = RunSpec(image_id=SOME_IMAGE)
REQUEST = InvokeRequest(prompt="hello", messages=(), conversation="c", turn="t")
Status = Sandbox.Status


@pytest.fixture(autouse=True)
def far_host(settings):
    """This process is the host, for as long as nobody asks from elsewhere."""
    settings.SANDBOX_HOST = "far"


@contextlib.asynccontextmanager
async def door_server():
    server = DoorServer()
    port = await server.start("127.0.0.1:0")
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.close()


async def sandbox(*, status=Status.CLAIMED, host="far", key="c") -> uuid.UUID:
    row, _ = await sync_to_async(warm_row)(SPEC, status=status, host=host, claim_key=key)
    return row.pk


async def invoke(door, deadline=5.0):
    return [event async for event in protocols.for_name("http").invoke(door, REQUEST, deadline)]


async def refused(door) -> AgentFailure:
    with pytest.raises(AgentFailure) as caught:
        await invoke(door)
    return caught.value


async def test_an_agent_answers_through_the_door_as_if_it_were_here():
    sandbox_id = await sandbox()
    big = answer(b'{"text": "' + b"x" * 500_000 + b'"}')
    async with door_server() as address, serving(socket_path(sandbox_id), saying(big)):
        door = RemoteDoor(sandbox_id, address)
        assert (await invoke(door))[-1] == Done("x" * 500_000)
        assert await in_thread(door.is_answering)


async def test_the_end_of_its_log_is_had_there_too():
    sandbox_id = await sandbox(status=Status.FAILED)
    (door_dir(sandbox_id) / "log").write_text("Traceback: no key")
    async with door_server() as address:
        assert await in_thread(RemoteDoor(sandbox_id, address).read_log) == "Traceback: no key"
        assert await in_thread(RemoteDoor(new_id(), address).read_log) == ""


@pytest.mark.parametrize(
    "row", [{"status": Status.WARM, "key": ""}, {"status": Status.STOPPED}, {"host": "other"}]
)
async def test_only_claimed_ones_of_that_host_are_opened(row):
    sandbox_id = await sandbox(**row)
    async with door_server() as address, serving(socket_path(sandbox_id), saying(answer(b'{"text": "no"}'))):
        failure = await refused(RemoteDoor(sandbox_id, address))
        assert (failure.code, failure.fault) == ("door_refused", Fault.PLATFORM)
        assert (await refused(RemoteDoor(new_id(), address))).code == "door_refused"


async def test_who_has_not_the_key_gets_nothing(settings, monkeypatch):
    sandbox_id = await sandbox()
    async with door_server() as address, serving(socket_path(sandbox_id), saying(answer(b'{"text": "no"}'))):
        host, port = address.split(":")
        for line in (b"", b"GET / HTTP/1.1\r\n\r\n", b"ASD1 open\n", b"x" * 100_000 + b"\n", b"\xff\n"):
            reader, writer = await asyncio.open_connection(host, int(port))
            await reader.readuntil(b"\n")
            writer.write(line)
            if not line:
                writer.write_eof()
            with contextlib.suppress(ConnectionError):
                assert (await reader.read())[:2] in (b"", b"NO")
            writer.close()
        reader, writer = await asyncio.open_connection(host, int(port))
        nonce = preface.read_greeting(await reader.readuntil(b"\n"))
        said = preface.request_line(verb="open", sandbox_id=sandbox_id, server_nonce=nonce, nonce="a" * 64)
        writer.write(said[:-3] + (b"00\n" if said[-3:-1] != b"00" else b"11\n"))
        assert await reader.read() == b"NO refused\n"
        writer.close()


async def test_a_recorded_preface_is_worth_nothing():
    sandbox_id = await sandbox()
    async with door_server() as address, serving(socket_path(sandbox_id), saying(answer(b'{"text": "hi"}'))):
        host, port = address.split(":")
        said = b""
        for expected in (b"OK", b"NO"):
            reader, writer = await asyncio.open_connection(host, int(port))
            nonce = preface.read_greeting(await reader.readuntil(b"\n"))
            said = said or preface.request_line(
                verb="look", sandbox_id=sandbox_id, server_nonce=nonce, nonce=preface.new_nonce()
            )
            writer.write(said)
            assert (await reader.read()).startswith(expected)
            writer.close()


async def test_a_stranger_in_the_servers_place_is_noticed():
    """It can greet, but not prove that it has the key: nothing is sent to it."""
    got = []

    async def pose(reader, writer):
        writer.write(preface.greeting(preface.new_nonce()))
        await reader.readuntil(b"\n")
        writer.write(b"OK " + b"0" * 64 + b"\n")
        got.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(pose, "127.0.0.1", 0)
    failure = await refused(RemoteDoor(new_id(), f"127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    assert failure.code == "host_lost"
    server.close()
    assert got in ([], [b""])


async def test_behind_tls_a_door_opens_for_who_knows_the_certificate(settings, tmp_path):
    sandbox_id = await sandbox()
    (tmp_path / "own").mkdir()
    (tmp_path / "other").mkdir()
    certificate, key = self_signed(tmp_path / "own")
    others, _ = self_signed(tmp_path / "other")
    settings.SANDBOX_DOOR_TLS_CERT, settings.SANDBOX_DOOR_TLS_KEY = str(certificate), str(key)
    async with door_server() as address, serving(socket_path(sandbox_id), saying(answer(b'{"text": "Hi"}'))):
        door = RemoteDoor(sandbox_id, address)
        settings.SANDBOX_DOOR_TLS_CA = str(certificate)
        assert (await invoke(door))[-1] == Done("Hi")
        assert await in_thread(door.is_answering)
        for ca in (others, ""):
            settings.SANDBOX_DOOR_TLS_CA = str(ca)
            assert (await refused(door)).code == "host_lost"
            assert not await in_thread(door.is_answering)


async def test_callers_are_bounded_in_all_and_per_sandbox(settings):
    settings.SANDBOX_DOOR_CONNECTIONS = 12
    sandbox_id = await sandbox()
    async with door_server() as address, serving(socket_path(sandbox_id), repeating(b"", b"", pause=0.05)):
        door = RemoteDoor(sandbox_id, address)
        held = [await door.connect() for _ in range(8)]
        assert (await refused(door)).code == "door_refused"
        host, port = address.split(":")
        idle = [await asyncio.open_connection(host, int(port)) for _ in range(4)]
        assert (await refused(door)).code == "host_lost", "beyond the bound nobody is even greeted"
        for _, writer in [*held, *idle]:
            writer.transport.abort()


async def test_a_host_that_is_away_is_ours_and_an_agent_that_hangs_up_is_its_own():
    sandbox_id = await sandbox()
    async with door_server() as address, serving(socket_path(sandbox_id), saying(b"HTTP/1.1 200 OK\r\n")):
        failure = await refused(RemoteDoor(sandbox_id, address))
        assert (failure.code, failure.fault) == ("connection_lost", Fault.AGENT)
    failure = await refused(RemoteDoor(sandbox_id, address))
    assert (failure.code, failure.fault) == ("host_lost", Fault.PLATFORM)
    found = await in_thread(RemoteDoor(sandbox_id, address).find_fault)
    assert (found.code, found.fault) == ("host_lost", Fault.PLATFORM)


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_a_server_that_hangs_up_politely_in_a_turn_is_ours_too():
    """The connection ends as an agent's would that is done, in the middle of a chunk."""

    async def pose(reader, writer):
        nonce = preface.new_nonce()
        writer.write(preface.greeting(nonce))
        asked = preface.read_request(await reader.readuntil(b"\n"), server_nonce=nonce)
        writer.write(preface.consent(asked, server_nonce=nonce))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + b"5\r\n:")
        server.close()
        writer.close()

    server = await asyncio.start_server(pose, "127.0.0.1", 0)
    failure = await refused(RemoteDoor(new_id(), f"127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    assert (failure.code, failure.fault) == ("host_lost", Fault.PLATFORM)


async def test_a_server_that_dies_in_a_turn_is_ours():
    sandbox_id = await sandbox()
    async with serving(socket_path(sandbox_id), repeating(CHUNKED, b"1\r\n:\r\n", pause=0.02)):
        async with door_server() as address:
            turn = asyncio.create_task(refused(RemoteDoor(sandbox_id, address)))
            reader, writer = await RemoteDoor(sandbox_id, address).connect()
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await reader.readexactly(20)  # by now the turn is on its way as well
            writer.transport.abort()
        failure = await turn
    assert (failure.code, failure.fault) == ("host_lost", Fault.PLATFORM)


def test_which_door_a_sandbox_has_is_its_hosts_affair(settings):
    known_host("near", address="")
    known_host("far", address="10.0.0.9:7070")
    row, _ = warm_row(SPEC, host="far")
    assert door_to(row.pk, host="far") == local_door(row.pk)
    settings.SANDBOX_HOST = "near"
    assert door_to(row.pk, host="far") == RemoteDoor(row.pk, "10.0.0.9:7070")
