"""Every call of an agent as a row: what it asked, what it got, how long it took. Its developer reads it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from agentstore.kit.errors import StoreError
from agentstore.kit.mcp import Toolbox, call_tool
from agentstore.kit.text import storable
from marketplace.gateway.auth import Caller
from marketplace.gateway.limits import count_call
from marketplace.shopping.models import ToolCall

_TEXT, _ITEMS, _DEPTH = 300, 5, 4


def traced_call(
    toolbox: Toolbox[Caller], caller: Caller, name: str, arguments: dict[str, Any], *, transport: str
) -> dict[str, Any]:
    """Count, call and record. Raises what the tool raises, after recording that."""
    started = time.monotonic()
    outcome, result = "ok", dict[str, Any]()
    try:
        count_call(caller)
        result = call_tool(toolbox, caller, name, arguments)
    except StoreError as error:
        outcome, result = error.code, error.as_problem()
        raise
    except Exception:
        outcome = "internal_error"
        raise
    finally:
        record_call(
            caller, tool=name, transport=transport, arguments=arguments, outcome=outcome, result=result,
            duration_ms=int((time.monotonic() - started) * 1000),
        )  # fmt: skip
    return result


def record_call(
    caller: Caller,
    *,
    tool: str,
    transport: str,
    arguments: Mapping[str, Any],
    outcome: str,
    result: Mapping[str, Any],
    duration_ms: int,
) -> None:
    """One row of the trace; arguments and result are shortened."""
    ToolCall.objects.create(
        conversation=caller.conversation,
        turn=caller.turn,
        tool=storable(tool)[:40],
        transport=transport,
        arguments=shorten(dict(arguments)),
        outcome=outcome[:60],
        result=shorten(dict(result)),
        duration_ms=duration_ms,
    )


def shorten(value: Any, depth: int = _DEPTH) -> Any:
    """A JSON value cut down to what a person reads: texts, lists and depth have limits."""
    if isinstance(value, str):
        clean = storable(value)
        return clean if len(clean) <= _TEXT else clean[:_TEXT] + "…"
    if isinstance(value, dict):
        if depth == 0:
            return "{…}"
        return {storable(str(key)[:80]): shorten(item, depth - 1) for key, item in list(value.items())[:20]}
    if isinstance(value, list):
        if depth == 0:
            return "[…]"
        cut = [shorten(item, depth - 1) for item in value[:_ITEMS]]
        return [*cut, f"… {len(value) - _ITEMS} more"] if len(value) > _ITEMS else cut
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
