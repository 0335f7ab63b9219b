"""The one door out."""

from __future__ import annotations

import json

from sandbox.bench import Bench
from sandbox.conformance.registry import LOOKS, Seen, check
from sandbox.places import ALIVE_NAME, GATEWAY_SOCKET_NAME


@check(
    LOOKS,
    proves="The gateway can be reached, and sees the run token.",
    rests_on="the directory of its socket at the gateway, mounted; the relay",
    fix="Build the relay kit again: `manage.py build_base_image`.",
)
def gateway_reachable(bench: Bench) -> Seen:
    """The bench's own gateway says who called."""
    probe = bench.shared()
    seen = probe.ask("gateway", path="/v1/whoami")
    return seen["status"] == 200 and probe.token in seen["body"], f"status {seen['status']}"


@check(
    LOOKS,
    proves="The gateway knows which sandbox calls, whatever token it shows.",
    rests_on="a directory for each sandbox with the gateway's socket for it alone: a run token that comes through "
    "another's is refused and logged as `security.token_from_elsewhere`",
    fix="Give each sandbox a gateway directory of its own.",
)
def token_bound_to_sandbox(bench: Bench) -> Seen:
    """The socket names the sandbox, to another's token as well."""
    probe = bench.shared()
    told = [json.loads(probe.ask("gateway", path="/", token=token)["body"] or "{}") for token in (None, "x")]
    return all(answer.get("caller") == probe.id.hex for answer in told), "the socket names the sandbox"


@check(
    LOOKS,
    proves="An MCP client finds its configuration.",
    rests_on="process 1 writes /run/agentstore/mcp.json",
    fix="Build the relay kit again: `manage.py build_base_image`.",
)
def mcp_configuration(bench: Bench) -> Seen:
    """With the gateway's address and the token."""
    probe = bench.shared()
    text = probe.ask("read", path="/run/agentstore/mcp.json").get("text", "")
    return probe.token in text, "mcp.json names the gateway and the token"


@check(
    LOOKS,
    proves="The directory of the gateway's socket holds nothing but the sign of life beside it and cannot be changed.",
    rests_on="it is mounted read-only",
    fix="Mount it read-only.",
)
def gateway_directory_is_sealed(bench: Bench) -> Seen:
    """Nobody can listen in the gateway's place."""
    seen = dict(bench.shared().ask("meddle_with_gateway"))
    names = set(seen.pop("names")) - {GATEWAY_SOCKET_NAME, ALIVE_NAME}
    allowed = sorted(name for name, answer in seen.items() if answer == "allowed")
    return not names and not allowed, sorted(names) + allowed or seen
