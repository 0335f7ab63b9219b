"""One socket per sandbox: each says who is calling, and none can be used to keep the others from being served."""

from __future__ import annotations

import asyncio
import shutil
import socket
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from structlog.testing import capture_logs

from agentstore.kit.ids import new_id
from sandbox.doors import prepare_gateway
from sandbox.gateway_server import GatewayServer
from sandbox.places import gateway_dir

GREETING = b"GET /who HTTP/1.1\r\nHost: gateway\r\n\r\n"
BIG = 4 * 2**20
REFUSED = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: gateway\r\n"


class Application:
    """Says who calls; at /slow only when it is let go; at /big more than anybody's buffers hold."""

    def __init__(self):
        self.go = asyncio.Event()
        self.running = self.most = 0

    async def __call__(self, scope, receive, send):
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            body = b""
            while True:
                event = await receive()
                if event["type"] == "http.disconnect":
                    return
                body += event["body"]
                if not event["more_body"]:
                    break
            if scope["path"] == "/slow":
                await self.go.wait()
            told = b"x" * BIG if scope["path"] == "/big" else repr((scope["client"] or [None])[0]).encode()
            length = (b"content-length", str(len(told)).encode())
            await send({"type": "http.response.start", "status": 200, "headers": [length]})
            await send({"type": "http.response.body", "body": told, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self.running -= 1


@asynccontextmanager
async def serving(root):
    application = Application()
    server = GatewayServer(application, root=root, grace_seconds=2)
    running = asyncio.create_task(server._serve())
    await until((root / "gateway.sock").exists)
    try:
        yield application
    finally:
        server.should_exit = True
        await running


@pytest.fixture
async def application(run_dir):
    async with serving(run_dir / "gateway") as application:
        yield application


async def until(true, seconds=5.0):
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  (what is awaited is a file or another task's counter)
            await asyncio.sleep(0.01)


async def new_socket():
    """A sandbox with its socket."""
    sandbox_id = new_id()
    path = prepare_gateway(sandbox_id) / "gateway.sock"
    await until(path.exists)
    return sandbox_id, path


def client(path):
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=str(path)), base_url="http://g", timeout=5
    )


async def ask(path, target="/who", **more):
    async with client(path) as http:
        return await http.post(target, **more)


async def talk(path, data, *, seconds=5.0):
    """All that comes back until the other side ends the connection."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(data)
        async with asyncio.timeout(seconds):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


async def test_each_socket_says_whose_it_is_and_no_header_does(application):
    one, path = await new_socket()
    other, beside = await new_socket()
    lies = {"X-Forwarded-For": other.hex, "Forwarded": f"for={other.hex}", "Remote-Addr": other.hex}
    assert (await ask(path, headers=lies)).text == repr(one.hex)
    assert (await ask(beside)).text == repr(other.hex)
    assert path.stat().st_mode & 0o777 == 0o666


async def test_the_platforms_own_socket_is_no_sandboxs(application, run_dir):
    assert (await ask(run_dir / "gateway" / "gateway.sock")).text == "None"
    assert (run_dir / "gateway" / "gateway.sock").stat().st_mode & 0o777 == 0o600


async def test_a_removed_directory_ends_its_connections_and_a_new_one_is_listened_in(application):
    sandbox_id, path = await new_socket()
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(GREETING)
    await asyncio.wait_for(reader.readuntil(b"'" + sandbox_id.hex.encode() + b"'"), 5)
    shutil.rmtree(gateway_dir(sandbox_id))
    with suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    prepare_gateway(sandbox_id)
    await until(path.exists)
    assert (await ask(path)).text == repr(sandbox_id.hex)


async def test_a_directory_that_was_swapped_between_two_looks_is_noticed(application):
    """Made anew under the same name: what lies there is not our socket any more."""
    sandbox_id, path = await new_socket()
    for _ in range(5):
        shutil.rmtree(gateway_dir(sandbox_id))
        prepare_gateway(sandbox_id)
    await until(path.exists)
    assert (await ask(path)).text == repr(sandbox_id.hex)


async def test_a_server_that_starts_anew_takes_the_place_of_what_was_left(run_dir):
    sandbox_id = new_id()
    path = prepare_gateway(sandbox_id) / "gateway.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    (path.parent / "new.sock").touch()
    (run_dir / "gateway" / "no-sandbox").mkdir()
    for _ in range(2):
        async with serving(run_dir / "gateway"):
            assert (await ask(path)).text == repr(sandbox_id.hex)
        assert not path.exists(), "nobody listens there now"
    assert not (run_dir / "gateway" / "no-sandbox" / "gateway.sock").exists()


async def test_an_old_server_leaves_the_sockets_of_its_successor_alone(run_dir):
    _, path = prepare_gateway(sandbox_id := new_id()), gateway_dir(sandbox_id) / "gateway.sock"
    async with serving(run_dir / "gateway"):
        before = path.stat().st_ino
        new = asyncio.create_task(_outlive(run_dir, path, before, sandbox_id))
        await until(lambda: path.exists() and path.stat().st_ino != before)
    await new


async def _outlive(run_dir, path, before, sandbox_id):
    async with serving(run_dir / "gateway"):
        await until(lambda: path.stat().st_ino != before)
        await asyncio.sleep(0.5)
        assert (await ask(path)).text == repr(sandbox_id.hex)


async def test_a_request_under_way_is_finished_before_the_end(run_dir):
    async with serving(run_dir / "gateway") as application:
        sandbox_id, path = await new_socket()
        answer = asyncio.create_task(ask(path, "/slow"))
        await until(lambda: application.running)
        asyncio.get_running_loop().call_later(0.3, application.go.set)
    assert (await answer).text == repr(sandbox_id.hex)


async def test_connections_beyond_the_cap_wait_and_cost_nobody_else(application, settings):
    settings.GATEWAY_CONNECTIONS = 4
    _, noisy = await new_socket()
    _, calm = await new_socket()
    idle = [await asyncio.open_unix_connection(noisy) for _ in range(8)]
    waiting = asyncio.create_task(ask(noisy))
    assert (await ask(calm)).is_success
    await asyncio.sleep(0.2)
    assert not waiting.done()
    for _, writer in idle:
        writer.close()
    assert (await waiting).is_success


async def test_requests_beyond_the_cap_wait_and_cost_nobody_else(application, settings):
    settings.GATEWAY_REQUESTS_AT_ONCE = 3
    _, noisy = await new_socket()
    asked = [asyncio.create_task(ask(noisy, "/slow")) for _ in range(9)]
    await until(lambda: application.running == 3)
    _, calm = await new_socket()
    assert (await ask(calm)).is_success
    application.go.set()
    assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}
    assert application.most == 4, "three of the one, one of the other"


async def test_a_flood_is_slowed_to_its_pace(application, settings):
    settings.GATEWAY_REQUESTS_PER_SECOND = 20
    _, noisy = await new_socket()
    loop = asyncio.get_running_loop()
    async with client(noisy) as http:
        began = loop.time()
        for _ in range(30):
            assert (await http.post("/who")).is_success
    assert loop.time() - began > 0.4, "twenty at once, the rest at their pace"


async def test_headers_are_bounded(application):
    _, path = await new_socket()
    endless = b"GET / HTTP/1.1\r\nX: " + b"x" * 64 * 1024
    many = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000 + b"\r\n"
    for hostile in (endless, many):
        assert await talk(path, hostile) in (REFUSED, b""), "the end may overtake the words"
    assert application.most == 0


async def test_bodies_are_bounded_declared_or_not(application, settings):
    settings.GATEWAY_MAX_BODY_BYTES = 100_000
    _, path = await new_socket()
    assert (await ask(path, content=b"x" * 100_000)).status_code == 200
    refused = await ask(path, content=b"x" * 100_001)
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    lying = POST + b"Content-Length: 99999999999\r\n\r\n"
    assert (await talk(path, lying)).startswith(b"HTTP/1.1 413")
    piece = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    endless = POST + b"Transfer-Encoding: chunked\r\n\r\n" + piece * 4
    assert (await talk(path, endless)).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("beginning", [b"", b"GET /wh", GREETING[:-2], POST + b"Content-Length: 99\r\n\r\nx"])
async def test_a_request_that_drips_in_is_given_up(application, settings, beginning):
    settings.GATEWAY_REQUEST_SECONDS = 0.5
    _, path = await new_socket()
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(beginning)
    ended = asyncio.create_task(reader.read())
    async with asyncio.timeout(5):
        while not ended.done():
            await asyncio.sleep(0.1)
            with suppress(ConnectionError):
                writer.write(b"a" if beginning else b"")
    with suppress(ConnectionError):
        assert b"200 OK" not in ended.result()
    await until(lambda: application.running == 0)


async def test_a_kept_connection_gets_as_long_for_its_next_request(application, settings):
    settings.GATEWAY_REQUEST_SECONDS = 0.5
    _, path = await new_socket()
    began = asyncio.get_running_loop().time()
    assert (await talk(path, GREETING * 2)).count(b"200 OK") == 2
    assert asyncio.get_running_loop().time() - began < 3


async def test_a_long_answer_is_waited_for_however_short_a_request_may_take(application, settings):
    settings.GATEWAY_REQUEST_SECONDS = 0.2
    sandbox_id, path = await new_socket()
    answer = asyncio.create_task(ask(path, "/slow"))
    await until(lambda: application.running)
    await asyncio.sleep(0.6)
    application.go.set()
    assert (await answer).text == repr(sandbox_id.hex)


async def test_an_answer_that_is_not_taken_is_given_up(application, settings):
    settings.GATEWAY_REQUEST_SECONDS = 0.5
    _, path = await new_socket()
    reader, writer = await asyncio.open_unix_connection(path, limit=1024)
    writer.write(GREETING.replace(b"/who", b"/big"))
    await until(lambda: application.most == 1)
    await until(lambda: application.running == 0)
    with suppress(ConnectionError):
        async with asyncio.timeout(5):
            assert len(await reader.read()) < BIG
    writer.close()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x00" * 1000 + b"\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\n",
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: g\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x85",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_nonsense_is_refused_without_a_word_in_the_log(application, caplog, nonsense):
    _, path = await new_socket()
    with capture_logs() as told:
        await talk(path, nonsense + b"GET / HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n")
        assert (await ask(path)).is_success
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")]
    assert told == []
