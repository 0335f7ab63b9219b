"""Server-sent events as a browser's parser reads them."""

import json

from hypothesis import given
from hypothesis import strategies as st

from agentstore.kit.sse import comment, event_stream, format_event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def parse(raw: bytes) -> dict[str, str]:
    """One event by the rules of WHATWG HTML 9.2.6, for fields that stand on one line."""
    assert raw.endswith(b"\n\n")
    lines = raw.decode().removesuffix("\n\n").split("\n")
    assert not any("\r" in line for line in lines)
    return dict(line.split(": ", 1) for line in lines)


@given(JSON)
def test_any_data_is_one_line_and_comes_back(data):
    event = parse(format_event(event="message.delta", data=data, id="7-0"))
    assert event["event"] == "message.delta"
    assert event["id"] == "7-0"
    assert json.loads(event["data"]) == data


def test_an_event_without_an_id_leaves_the_readers_position_alone():
    assert "id" not in parse(format_event(event="status", data={}))


def test_a_comment_is_no_event():
    assert comment("still here") == b": still here\n\n"


def test_a_stream_is_not_kept_by_anybody_in_between():
    async def nothing():
        return
        yield b""

    response = event_stream(nothing())
    assert response["Content-Type"].startswith("text/event-stream")
    assert response["Cache-Control"] == "no-store"
    assert response["X-Accel-Buffering"] == "no"
