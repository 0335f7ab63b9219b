"""Why an agent failed in a turn, as far as a look at its sandbox can tell.

What the turn itself sees is a broken connection, an error, a silence. A worker beside the sandbox may see more: that
it ran out of memory, that its program ended, that the platform took it away. The turn waits a moment for that.
"""

from __future__ import annotations

import uuid
from typing import Final

from sandbox.examining import Examination, aexamine
from sandbox.failures import AgentFailure, Fault

# The shopper waits for it too.
_WAIT_SECONDS: Final = 2.5
# What may well come of an end that the sandbox knows the reason of.
_SYMPTOMS: Final = frozenset({"connection_lost", "sandbox_gone", "not_listening"})
# What an agent that was short of memory, or robbed of a process for it, may do instead of breaking off.
_MEMORY_SYMPTOMS: Final = _SYMPTOMS | {
    "bad_status",
    "reported_error",
    "empty_answer",
    "turn_timeout",
    "bad_answer",
}


async def looked_into(failed: AgentFailure, sandbox_id: uuid.UUID) -> AgentFailure:
    """The failure with what its sandbox tells: the reason behind the symptom, the end of the log, the limits
    it met. The failure as it was when nobody could look in time.
    """
    if failed.fault != Fault.AGENT and failed.code not in _SYMPTOMS:
        return failed
    found = await aexamine(sandbox_id=sandbox_id, wait_seconds=_WAIT_SECONDS)
    if found is None:
        return failed
    code = _code(failed.code, found)
    reason = failed if code == failed.code else None
    return AgentFailure(
        failed.message,
        fault=failed.fault if reason is not None else found.fault,
        code=code,
        log_tail="\n".join(filter(None, (found.log_tail, failed.log_tail))),
        strain=found.strain,
    )


def _code(seen: str, found: Examination) -> str:
    if found.code == "out_of_memory" and seen in _MEMORY_SYMPTOMS:
        return found.code
    return found.code if found.code and seen in _SYMPTOMS else seen
