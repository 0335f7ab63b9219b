"""Answers that were written to hurt whoever reads them: sent as they are, without a server's help."""

import gzip
import time

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_BOMB = gzip.compress(b"0" * 10_000_000)


def _for_ever(first, again, pause=0.0):
    def send(connection):
        connection.sendall(first)
        while True:
            connection.sendall(again)
            time.sleep(pause)

    return send


def _once(data):
    return lambda connection: connection.sendall(data)


def _chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def _with(header, body=b"x"):
    return _once(_HEAD + header + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


KINDS = {
    # Slow ones: only a deadline for all of it ends them.
    "silence": _for_ever(b"", b"", 0.1),
    "dripping_headers": _for_ever(b"HTTP/1.1 200 OK\r\nX: ", b"a", 0.05),
    "dripping_lines": _for_ever(b"HTTP/1.1 200 OK\r\n", b"X: a\r\n", 0.05),
    "dripping_body": _for_ever(_HEAD + b"Content-Length: 100000\r\n\r\n", b" ", 0.05),
    "dripping_chunks": _for_ever(_CHUNKED, b"1\r\n:\r\n", 0.05),
    "dripping_events": _for_ever(_CHUNKED, _chunk(b'data: {"text": ""}\n\n'), 0.05),
    # Endless ones.
    "endless_body": _for_ever(_HEAD + b"\r\n", b" " * 65536),
    "endless_length": _for_ever(_HEAD + b"Content-Length: 99999999999\r\n\r\n", b" " * 65536),
    "endless_events": _for_ever(_CHUNKED, _chunk(b'data: {"text": "aaaaaaaaaaaaaaaa"}\n\n' * 1000)),
    "endless_line": _for_ever(_CHUNKED, _chunk(b"x" * 65536)),
    "endless_data_lines": _for_ever(_CHUNKED, _chunk(b"data: x\n" * 4096)),
    "tiny_chunks": _for_ever(_CHUNKED, b"1\r\n:\r\n" * 4096),
    "endless_trailers": _for_ever(_CHUNKED + b"0\r\n", b"X: a\r\n" * 1024),
    "endless_chunk_extension": _for_ever(_CHUNKED + b"1;", b"a" * 65536),
    "interim_flood": _for_ever(b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
    # Heads that are too large.
    "huge_header": _once(_HEAD + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n"),
    "many_headers": _once(_HEAD + b"X: a\r\n" * 100_000 + b"\r\n"),
    "huge_status_line": _once(b"HTTP/1.1 200 " + b"a" * 1_000_000 + b"\r\n\r\n"),
    # No HTTP at all, or not quite.
    "chunk_without_size": _once(_CHUNKED + b"zz\r\nabc\r\n"),
    "negative_chunk": _once(_CHUNKED + b"-1\r\nabc\r\n"),
    "huge_chunk_size": _once(_CHUNKED + b"f" * 64 + b"\r\nabc\r\n"),
    "cut_in_a_chunk": _once(_CHUNKED + b"5\r\nab"),
    "two_lengths": _once(_HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    "negative_length": _once(_HEAD + b"Content-Length: -1\r\n\r\n"),
    "switched_protocol": _once(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    "garbage": _once(b"\x00\xff" * 50_000),
    "folded_nul": _once(_HEAD + b"X: a\x00b\r\n\r\n"),
    "closed_at_once": _once(b""),
    "closed_in_the_head": _once(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "closed_in_the_body": _once(_HEAD + b"Content-Length: 100\r\n\r\n{"),
    "nested": _with(b"X: a", b"[" * 500_000),
    "not_utf8": _with(b"X: a", b'{"text": "\xff\xfe"}'),
    "huge_number": _with(b"X: a", b'{"text": ' + b"9" * 900_000 + b"}"),
    # Elsewhere, or packed.
    "redirect_metadata": _once(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/\r\n\r\n"),
    "redirect_file": _once(b"HTTP/1.1 301 Moved\r\nLocation: file:///etc/passwd\r\n\r\n"),
    "redirect_method": _once(b"HTTP/1.1 307 Again\r\nLocation: http://127.0.0.1:5432/\r\n\r\n"),
    "gzip_bomb": _with(b"Content-Encoding: gzip", _BOMB),
    "deflate": _with(b"Content-Encoding: deflate"),
    "several_codings": _with(b"Content-Encoding: identity\r\nContent-Encoding: gzip", _BOMB),
    "transfer_gzip": _once(_HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + _chunk(_BOMB)),
}  # fmt: skip


def send(connection, kind):
    """One of them, for as long as somebody reads."""
    try:
        KINDS[kind](connection)
    except OSError:
        pass
