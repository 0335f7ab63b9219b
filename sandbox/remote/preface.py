"""What is said on a connection to a door server before anything of the agent's.

    server  ASD1 <nonce>                                     64 hex digits, fresh for each connection
    client  ASD1 <verb> <sandbox> <nonce> <proof>            proof: HMAC-SHA256 of all of it, both nonces and the stack
    server  OK <proof>                                       or: NO <code>

A recorded preface is worth nothing: the server's nonce is in the proof. The verb decides what follows: `open` the
agent's own bytes, `log` the end of its log, `look` nothing. Lines end with a line feed and have at most 512 bytes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass

from django.conf import settings

from sandbox.places import stack_name

VERSION = "ASD1"
VERBS = ("open", "look", "log")
LINE_BYTES = 512
_NONCE_BYTES = 32


class BrokenPreface(Exception):
    """The other side does not speak this protocol, or has not the key."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for."""

    verb: str
    sandbox_id: uuid.UUID
    nonce: str
    proof: str


def new_nonce() -> str:
    """64 hex digits that nobody can guess."""
    return secrets.token_hex(_NONCE_BYTES)


def greeting(nonce: str) -> bytes:
    """The server's first line."""
    return f"{VERSION} {nonce}\n".encode()


def read_greeting(line: bytes) -> str:
    """The server's nonce. Raises BrokenPreface."""
    match _words(line):
        case [version, nonce] if version == VERSION and _is_nonce(nonce):
            return nonce
    raise BrokenPreface("no door server answers there")


def request_line(*, verb: str, sandbox_id: uuid.UUID, server_nonce: str, nonce: str) -> bytes:
    """The client's line."""
    proof = _proof("client", verb, sandbox_id, server_nonce, nonce)
    return f"{VERSION} {verb} {sandbox_id.hex} {nonce} {proof}\n".encode()


def read_request(line: bytes, *, server_nonce: str) -> Request:
    """What the client asks for, with its proof checked. Raises BrokenPreface."""
    match _words(line):
        case [version, verb, sandbox, nonce, proof] if (
            version == VERSION and verb in VERBS and _is_nonce(nonce) and len(sandbox) == 32
        ):
            try:
                sandbox_id = uuid.UUID(hex=sandbox)
            except ValueError:
                raise BrokenPreface("no sandbox's id") from None
            if hmac.compare_digest(proof, _proof("client", verb, sandbox_id, server_nonce, nonce)):
                return Request(verb, sandbox_id, nonce, proof)
            raise BrokenPreface("the proof is wrong")
    raise BrokenPreface("no request of a door")


def consent(request: Request, *, server_nonce: str) -> bytes:
    """The server's yes, with which it shows that it has the key too."""
    proof = _proof("server", request.verb, request.sandbox_id, server_nonce, request.nonce)
    return f"OK {proof}\n".encode()


def refusal(code: str) -> bytes:
    """The server's no."""
    return f"NO {code}\n".encode()


def read_answer(line: bytes, *, verb: str, sandbox_id: uuid.UUID, server_nonce: str, nonce: str) -> str:
    """Empty for yes, else the code of the refusal. Raises BrokenPreface."""
    match _words(line):
        case ["OK", proof]:
            if hmac.compare_digest(proof, _proof("server", verb, sandbox_id, server_nonce, nonce)):
                return ""
        case ["NO", code]:
            return code[:40]
    raise BrokenPreface("the door server has not the key")


def _proof(side: str, verb: str, sandbox_id: uuid.UUID, server_nonce: str, nonce: str) -> str:
    said = "|".join(("agentstore door 1", side, stack_name(), verb, sandbox_id.hex, server_nonce, nonce))
    return hmac.new(settings.SANDBOX_DOOR_KEY.encode(), said.encode(), hashlib.sha256).hexdigest()


def _words(line: bytes) -> list[str]:
    if not line.endswith(b"\n") or len(line) > LINE_BYTES or not line.isascii():
        return []
    return line.decode("ascii").split()


def _is_nonce(text: str) -> bool:
    return len(text) == 2 * _NONCE_BYTES and all(c in "0123456789abcdef" for c in text)
