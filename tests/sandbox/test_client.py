"""The bounded client against answers that were written to hurt."""

from __future__ import annotations

import asyncio
import time

import pytest

from sandbox import protocols
from sandbox.doors import LocalDoor
from sandbox.failures import AgentFailure, Fault
from sandbox.protocols import Done, InvokeRequest, Message, TextDelta, UnsupportedProtocol
from tests.sandbox.servers import answer, repeating, saying, serving

REQUEST = InvokeRequest(
    prompt="red shoes", messages=[Message("user", "red shoes")], conversation="c" * 36, turn="t1"
)
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAM = "text/event-stream"
SSE = STREAM.encode()


async def invoke(path, *, protocol="http", deadline=5.0):
    return [event async for event in protocols.for_name(protocol).invoke(LocalDoor(path), REQUEST, deadline)]


async def collect(path, said):
    async for event in protocols.for_name("http").invoke(LocalDoor(path), REQUEST, 0.5):
        said.append(event)


async def failure(path, *, deadline=5.0) -> AgentFailure:
    with pytest.raises(AgentFailure) as caught:
        await invoke(path, deadline=deadline)
    assert caught.value.fault is Fault.AGENT
    return caught.value


@pytest.mark.parametrize(
    ("talk", "code"),
    [
        (repeating(CHUNKED % SSE, b"1\r\n:\r\n", pause=0.02), "turn_timeout"),
        (repeating(b"HTTP/1.1 200 OK\r\nX: ", b"a", pause=0.02), "turn_timeout"),
        (repeating(b"", b"", pause=0.05), "turn_timeout"),
        (repeating(b"", b"HTTP/1.1 102 Processing\r\n\r\n"), "bad_answer"),
        (repeating(b"HTTP/1.1 200 OK\r\n", b"X-Many: headers\r\n"), "headers_too_large"),
        (repeating(CHUNKED % SSE, b"400\r\n" + b": " + b"x" * 1021 + b"\n\r\n"), "answer_too_large"),
        (repeating(CHUNKED % SSE, b"400\r\n" + b"x" * 1024 + b"\r\n"), "bad_answer"),
        (repeating(CHUNKED % b"application/json", b"1\r\n \r\n"), "answer_too_large"),
        (saying(CHUNKED % SSE + b"not-hex\r\n"), "bad_answer"),
        (saying(CHUNKED % SSE + b"5\r\nda"), "connection_lost"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Length: 20\r\n\r\n"), "bad_answer"),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "bad_answer"),
        (saying(b"\x00\xff" * 50_000), "bad_answer"),
        (saying(b""), "connection_lost"),
        (saying(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n"), "redirect"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nx"), "encoded_answer"),
        (saying(answer(b"{}", status="500 Broken")), "bad_status"),
        (saying(answer(b'{"message": "no text"}')), "bad_answer"),
        (saying(answer(b"<html>")), "bad_answer"),
        (saying(answer(b"[" * 100_000)), "bad_answer"),
        (saying(answer(b'data: {"error": "away"}\n\n', content_type=STREAM)), "reported_error"),
        (saying(answer(b"data: \xff\xfe\n\n", content_type=STREAM)), "bad_answer"),
    ],
)  # fmt: skip
async def test_a_hostile_answer_ends_in_a_typed_failure_of_the_agents(tmp_path, talk, code):
    async with serving(tmp_path / "s", talk) as path:
        started = time.monotonic()
        # Twenty thousand pieces take a busy machine longer than a second.
        deadline = 1.0 if code == "turn_timeout" else 10.0
        found = await failure(path, deadline=deadline)
        assert found.code == code, found.message
        assert time.monotonic() - started < deadline + 2


async def test_one_deadline_bounds_everything_and_keeps_what_was_said(tmp_path):
    frame = b'data: {"text": "a"}\n\n'
    chunk = b"%x\r\n%s\r\n" % (len(frame), frame)
    said: list[TextDelta] = []
    async with serving(tmp_path / "s", repeating(CHUNKED % SSE, chunk, pause=0.05)) as path:
        with pytest.raises(AgentFailure, match=r"within 0\.5 seconds"):
            await collect(path, said)
    assert len(said) >= 2
    assert set(said) == {TextDelta("a")}


async def test_a_flood_of_hostile_agents_does_not_starve_the_loop(tmp_path):
    """Twenty endless answers at once: a bystander on the same loop is still served."""
    async with serving(tmp_path / "s", repeating(CHUNKED % SSE, b"1\r\n:\r\n" * 500)) as path:
        floods = [asyncio.create_task(failure(path, deadline=2)) for _ in range(20)]
        async with serving(tmp_path / "calm", saying(answer(b'{"text": "calm"}'))) as calm:
            assert (await invoke(calm, deadline=5))[-1] == Done("calm")
        for flood in floods:
            await flood


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b'{"text": "hello"}', "application/json", "hello"),
        (b'{"result": "hello"}', "application/json; charset=utf-8", "hello"),
        (b'"hello"', "application/json", "hello"),
        (b"hello", "text/plain", "hello"),
        (b'data: {"text": "hel"}\n\ndata: {"text": "lo"}\n\n', "text/event-stream", "hello"),
        (b'data: "hel"\r\n\r\nevent: x\r\ndata: "lo"\r\n\r\ndata: [DONE]\r\n\r\n', STREAM, "hello"),
    ],
)  # fmt: skip
async def test_the_shapes_of_a_good_answer(tmp_path, body, content_type, text):
    async with serving(tmp_path / "s", saying(answer(body, content_type=content_type))) as path:
        events = await invoke(path)
    assert events[-1] == Done(text)
    assert "".join(e.text for e in events[:-1]) == text


async def test_openai_streams_and_answers_whole(tmp_path):
    stream = (
        b'data: {"choices": [{"delta": {"role": "assistant"}}]}\n\n'
        b'data: {"choices": [{"delta": {"content": "hi"}}]}\n\ndata: {"choices": []}\n\ndata: [DONE]\n\n'
    )
    async with serving(tmp_path / "s", saying(answer(stream, content_type="text/event-stream"))) as path:
        assert await invoke(path, protocol="openai") == [TextDelta("hi"), Done("hi")]
    whole = b'{"choices": [{"message": {"content": "hi"}}]}'
    async with serving(tmp_path / "w", saying(answer(whole))) as path:
        assert await invoke(path, protocol="openai") == [TextDelta("hi"), Done("hi")]


async def test_readiness_is_never_an_exception(tmp_path):
    http = protocols.for_name("http")
    assert not await http.is_ready(LocalDoor(tmp_path / "nothing"), 1)
    for body, ready in ((b'{"status": "Healthy"}', True), (b'{"status": "Starting"}', False), (b"ok", True)):
        path = tmp_path / f"{len(body)}"
        async with serving(path, saying(answer(body))):
            assert await http.is_ready(LocalDoor(path), 1) is ready


def test_an_unknown_protocol_is_refused_with_those_there_are():
    with pytest.raises(UnsupportedProtocol) as refused:
        protocols.for_name("gopher")
    assert "http" in refused.value.hint
