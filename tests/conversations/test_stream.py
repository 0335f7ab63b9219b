"""Messages and events over HTTP, as a browser has them: from the web process to the page and back."""

from __future__ import annotations

import threading

import pytest

from marketplace.shopping import events
from marketplace.shopping.events import Name
from marketplace.shopping.models import Message, Shopper, Turn
from marketplace.shopping.turns import end_turn
from tests.conversations.live import Web, listening
from tests.conversations.world import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def web(transactional_db):
    server = Web()
    yield server
    server.stop()


def test_a_message_comes_back_as_a_stream_with_a_card(web, conversation, sam, mug, play):
    def answer(body, tools):
        yield "Look: "
        tools.call("recommend", variant_id=f"var_{mug.variant_id}", reason="<b>Blue</b>")
        yield "<script>alert(1)</script>"

    play(conversation, answer)
    browser = web.browser(sam)
    sent = browser.post(f"/chat/{conversation.pk}/messages", data={"text": "A mug under $20, I am sam@x.org"})
    assert sent.status_code == 202
    assert "[e-mail address removed]" in sent.json()["html"]
    assert "We removed your e-mail address" in sent.json()["html"]
    assert "Up to $20.00" in sent.json()["limit_html"]
    with listening(browser, conversation.pk, after=sent.json()["after"]) as stream:
        told = []
        for event in stream:
            told.append(event)
            if event.name.startswith("turn."):
                break
    assert told[-1].name == "turn.done"
    card = next(event for event in told if event.name == "recommendation")
    drawn = browser.get(f"/chat/{conversation.pk}/cards/{card.data['id']}").text
    assert "$12.50" in drawn
    assert "&lt;b&gt;Blue&lt;/b&gt;" in drawn
    page = browser.get(f"/chat/{conversation.pk}/", headers={"Accept": "text/html"}).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page


def test_a_stream_resumes_where_it_stopped(web, turn, sam):
    for number in range(3):
        events.tell(turn.conversation_id, Name.MESSAGE_DELTA, turn=str(turn.pk), text=str(number))
    browser = web.browser(sam)
    with listening(browser, turn.conversation_id) as stream:
        first = next(stream)
    with listening(browser, turn.conversation_id, headers={"Last-Event-ID": first.id}) as stream:
        assert [next(stream).data["text"] for _ in range(2)] == ["1", "2"]
        events.tell(turn.conversation_id, Name.MESSAGE_DELTA, turn=str(turn.pk), text="3")
        assert next(stream).data["text"] == "3"


def test_a_finished_stream_is_not_reopened(web, turn, sam):
    events.tell(turn.conversation_id, Name.MESSAGE_DELTA, turn=str(turn.pk), text="Hi")
    end_turn(turn_id=turn.pk, status=Turn.Status.DONE, by="runner", text="Hi")
    last = events.last_event_id(turn.conversation_id)
    browser = web.browser(sam)
    url = f"/chat/{turn.conversation_id}/events"
    assert browser.get(url, headers={"Last-Event-ID": last}).status_code == 204
    assert browser.get(url, headers={"Last-Event-ID": "9; DROP"}).status_code == 400


def test_charlie_hears_and_does_nothing(web, turn, charlie):
    Shopper.objects.create(user=charlie)
    for browser in (web.browser(charlie), web.browser()):
        base = f"/chat/{turn.conversation_id}"
        assert browser.get(f"{base}/events").status_code == 404
        assert browser.get(f"{base}/").status_code == 404
        for path in ("messages", "stop", "limit", "close", "delete"):
            assert browser.post(f"{base}/{path}", data={"text": "hi"}).status_code == 404
    turn.refresh_from_db()
    assert turn.status == "running"


def test_a_message_needs_a_csrf_token(web, conversation, sam):
    browser = web.browser(sam)
    del browser.headers["X-CSRFToken"]
    answer = browser.post(f"/chat/{conversation.pk}/messages", data={"text": "hi"})
    assert answer.status_code == 403
    assert not Message.objects.exists()


def test_a_second_message_is_refused_in_words(web, turn, sam):
    answer = web.browser(sam).post(f"/chat/{turn.conversation_id}/messages", data={"text": "and?"})
    assert (answer.status_code, answer.json()["code"]) == (409, "turn_running")


def test_stopping_ends_the_turn_at_once(web, conversation, sam, play):
    over = threading.Event()

    def answer(body, tools):
        yield "One"
        over.wait(10)
        yield "Two"

    play(conversation, answer)
    browser = web.browser(sam)
    sent = browser.post(f"/chat/{conversation.pk}/messages", data={"text": "A mug"})
    with listening(browser, conversation.pk, after=sent.json()["after"]) as stream:
        assert next(event for event in stream if event.name == "message.delta").data["text"] == "One"
        assert browser.post(f"/chat/{conversation.pk}/stop").status_code == 302
        done = next(event for event in stream if event.name == "turn.done")
    over.set()
    assert done.data["stopped"] is True
    assert Message.objects.get(role="agent").text == "One"


def test_idle_streams_hold_no_thread_and_no_connection(web, turn, sam):
    from django.db import connection

    browser = web.browser(sam)
    before = threading.active_count()
    open_streams = [listening(browser, turn.conversation_id) for _ in range(40)]
    heard = [stream.__enter__() for stream in open_streams]
    try:
        until(lambda: threading.active_count() <= before + 8)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            assert cursor.fetchone()[0] <= 8
        events.tell(turn.conversation_id, Name.MESSAGE_DELTA, turn=str(turn.pk), text="Hi")
        assert {next(stream).data["text"] for stream in heard} == {"Hi"}
    finally:
        for stream in open_streams:
            stream.__exit__(None, None, None)


def test_turn_after_turn_all_is_told_and_ends(web, conversation, sam, play):
    """An agent that is done at once: the end of its answer races with the telling of it."""
    play(conversation, lambda body, tools: ["Hi", " there"])
    browser = web.browser(sam)
    for _ in range(15):
        sent = browser.post(f"/chat/{conversation.pk}/messages", data={"text": "Hello"})
        assert sent.status_code == 202
        said = ""
        with listening(browser, conversation.pk, after=sent.json()["after"]) as stream:
            for event in stream:
                said += event.data["text"] if event.name == "message.delta" else ""
                if event.name.startswith("turn."):
                    break
        assert (said, event.name) == ("Hi there", "turn.done")
