"""Ids that sort by time, public ids of one kind, and cursors that cannot be forged into an error page."""

import base64
import contextlib
import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstore.kit.ids import MalformedId, id_in, new_id, parse_public_id, public_id
from agentstore.kit.pagination import MalformedCursor, decode_cursor, encode_cursor

JSON = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


def test_new_ids_are_version_seven_and_differ():
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {(one.version, one.variant) for one in ids} == {(7, uuid.RFC_4122)}
    milliseconds = [one.int >> 80 for one in ids]
    assert milliseconds == sorted(milliseconds)


def test_an_id_is_in_a_reference_of_its_kind_alone():
    one = new_id()
    assert id_in(f"topup:{one}", "topup:") == one
    assert [id_in(text, "topup:") for text in (str(one), f"refund:{one}", "topup:x", "topup:", "")] == [
        None
    ] * 5


@given(st.sampled_from(["prod", "var", "off"]), st.integers(0, 10**18 - 1))
def test_public_ids_come_back(prefix, number):
    assert parse_public_id(prefix, public_id(prefix, number)) == number


@pytest.mark.parametrize(
    "text", ["", "42", "var_", "off_1", "var_1 ", "var_-1", "var_01", "var_1\n", "VAR_1", "var_" + "9" * 30]
)
def test_what_is_no_id_of_the_kind_is_refused(text):
    with pytest.raises(MalformedId) as refused:
        parse_public_id("var", text)
    assert refused.value.status == 400


@given(st.text())
def test_any_text_is_an_id_or_refused(text):
    with contextlib.suppress(MalformedId):
        assert parse_public_id("var", text) == int(text.removeprefix("var_"))


@given(st.lists(JSON, max_size=5))
def test_cursors_come_back(position):
    assert decode_cursor(encode_cursor(position), parts=len(position)) == json.loads(json.dumps(position))


@given(st.lists(JSON, max_size=4), st.integers(0, 6))
def test_a_cursor_of_another_listing_is_refused(position, parts):
    if parts == len(position):
        return
    with pytest.raises(MalformedCursor):
        decode_cursor(encode_cursor(position), parts=parts)


@given(st.text())
def test_any_other_text_is_refused_with_a_typed_error(text):
    with contextlib.suppress(MalformedCursor):
        assert len(decode_cursor(text, parts=2)) == 2


def test_a_cursor_nested_beyond_reason_is_refused():
    deep = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    with pytest.raises(MalformedCursor):
        decode_cursor(deep, parts=1)
