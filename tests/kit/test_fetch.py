"""What the store fetches, from where, and how much of it."""

from __future__ import annotations

import io
import ipaddress

import pytest

from agentstore.kit.fetch import Bounds, FetchFailed, FetchRefused, check_url, fetch, is_public, send
from tests.web import Handler, body, lead_to

SMALL = Bounds(max_bytes=1_000, seconds=5)


def got(url: str, *, bounds: Bounds = SMALL, **options):
    into = io.BytesIO()
    return fetch(url, into=into, bounds=bounds, **options), into.getvalue()


def test_a_public_file_is_fetched_with_what_tells_it_apart(servers):
    outside, _ = servers
    outside.answers["/feed.csv"] = body(b"id,title", Content_Type="text/csv; charset=x", ETag='"1"')
    found, content = got(outside.url("/feed.csv"), headers={"If-None-Match": '"0"'})
    assert content == b"id,title"
    assert (found.status, found.size, found.content_type, found.etag) == (200, 8, "text/csv", '"1"')
    sent = outside.asked[0][1]
    assert sent["If-None-Match"] == '"0"'
    assert {"Cookie", "Authorization"}.isdisjoint(sent)


def test_what_has_not_changed_has_no_body(servers):
    outside, _ = servers
    outside.answers["/f"] = body(b"", 304)
    found, content = got(outside.url("/f"))
    assert (found.status, content) == (304, b"")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "192.0.0.192", "198.18.0.1", "168.63.129.16", "240.0.0.1",
        "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1",
        "2001:0:7f00:1::", "::7f00:1", "2001:db8::1",
    ],
)  # fmt: skip
def test_what_is_not_public(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_what_is_public(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.2", "2130706434", "0x7f000002", "127.2", "0177.0.0.2", "[::ffff:127.0.0.2]", "localhost."],
)
def test_no_spelling_of_an_inner_address_is_reached(servers, host):
    _, inside = servers
    with pytest.raises((FetchRefused, FetchFailed)):
        got(inside.url("/secret", host=host))
    assert inside.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://example.com/x", "gopher://127.0.0.1/", "//example.com/x", "http://", "feed.csv",
        "http://user:secret@example.com/", "http://exa mple.com/\r\nX: y",
    ],
)  # fmt: skip
def test_only_plain_web_addresses_are_taken(url):
    with pytest.raises(FetchRefused):
        check_url(url)


def test_a_redirect_inside_is_refused(servers):
    outside, inside = servers
    outside.answers["/go"] = lead_to(inside.url("/secret"))
    with pytest.raises(FetchRefused):
        got(outside.url("/go"))
    assert inside.asked == []


def test_redirects_are_followed_and_counted(servers):
    outside, _ = servers
    outside.answers["/a"], outside.answers["/b"] = lead_to("/b"), body(b"there")
    assert got(outside.url("/a"))[1] == b"there"
    outside.answers["/round"] = lead_to("/round")
    with pytest.raises(FetchFailed, match="leads on"):
        got(outside.url("/round"))


@pytest.mark.parametrize("where", ["http://[::1", "http://\u2603\ud800/", "file:///etc/passwd", "", "//"])
def test_a_redirect_to_what_is_no_address_is_a_failure_like_any(servers, where):
    outside, _ = servers
    outside.answers["/go"] = lead_to(where.encode("utf-8", "replace").decode("latin-1"))
    with pytest.raises((FetchRefused, FetchFailed)):
        got(outside.url("/go"))


def test_a_name_is_resolved_once_and_the_checked_address_is_the_one_reached(servers):
    """DNS rebinding: the second answer of the name leads inside; there is no second question."""
    outside, inside = servers
    outside.answers["/secret"] = body(b"outside")
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    _, content = got(outside.url("/secret", host="rebind.example"), resolve=lambda host, port: next(answers))
    assert content == b"outside"
    assert outside.asked[0][1]["Host"].startswith("rebind.example:")
    assert next(answers) == ["127.0.0.2"], "the name was asked once"
    assert inside.asked == []


def test_a_name_with_one_inner_address_is_refused_whole(servers):
    outside, inside = servers
    with pytest.raises(FetchRefused):
        got(outside.url("/x", host="mixed.example"), resolve=lambda host, port: ["127.0.0.1", "127.0.0.2"])
    assert outside.asked == inside.asked == []


def test_odd_ports_of_the_public_internet_are_refused(servers):
    with pytest.raises(FetchRefused, match="ports"):
        got("http://example.com:6379/", resolve=lambda host, port: ["93.184.216.34"])


def test_too_much_is_refused_by_its_length_and_by_its_bytes(servers):
    outside, _ = servers
    outside.answers["/told"] = body(b"x" * 2_000)

    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not handler.server.stop.is_set():
            try:
                handler.wfile.write(b"x" * 500)
            except OSError:
                return

    outside.answers["/untold"] = endless
    for path in ("/told", "/untold"):
        with pytest.raises(FetchFailed, match="more than 1,000 bytes"):
            got(outside.url(path))


@pytest.mark.parametrize("part", ["header", "body"])
def test_a_server_that_drips_is_left_at_the_deadline(servers, part):
    outside, _ = servers

    def drip(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"" if part == "header" else b"\r\n"))
        while not handler.server.stop.wait(0.05):
            try:
                handler.wfile.write(b"X-A: b\r\n" if part == "header" else b"x")
            except OSError:
                return

    outside.answers["/slow"] = drip
    with pytest.raises(FetchFailed, match=r"more than 0\.4 seconds|in time"):
        got(outside.url("/slow"), bounds=Bounds(max_bytes=1_000, seconds=0.4))


@pytest.mark.parametrize("status", [404, 500, 206])
def test_other_answers_are_failures_with_their_status(servers, status):
    outside, _ = servers
    outside.answers["/x"] = body(b"no", status)
    with pytest.raises(FetchFailed, match=str(status)):
        got(outside.url("/x"))


def test_who_anybody_may_be_does_not_come_into_the_operators_networks(servers):
    outside, _ = servers
    outside.answers["/f"] = body(b"inside")
    with pytest.raises(FetchRefused, match="not on the public internet"):
        got(outside.url("/f"), own_networks=False)
    with pytest.raises(FetchRefused, match="not on the public internet"):
        send(outside.url("/f"), content=b"", headers={}, bounds=SMALL, own_networks=False)
    assert outside.asked == outside.posted == []
