"""The sandbox of a turn, and what the shopper reads while it takes a moment."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable

from django.conf import settings

from agentstore.kit.threads import in_thread
from marketplace.shopping.conversations import claim_key
from sandbox import pool
from sandbox.pool import ClaimedSandbox, Waiting
from sandbox.spec import RunSpec

# A start that its worker's death cuts off is begun anew; whether it comes to anything is the platform's to say.
_STARTS = 2
_SAY_WAITING_AFTER = 0.4
Tell = Callable[[str], Awaitable[None]]


async def claim_sandbox(
    *, spec: RunSpec, tenant: str, conversation_id: uuid.UUID, agent_name: str, tell: Tell
) -> ClaimedSandbox:
    """The conversation's sandbox. `tell` is given a sentence whenever the shopper should know why it takes time.

    Raises as `pool.claim` does; where the store is busy not before SANDBOX_WAIT_SECONDS.
    """
    told_busy = False

    async def on_wait(waiting: Waiting) -> None:
        nonlocal told_busy
        if waiting.sandbox_id is None:
            told_busy = True
            await tell(busy_words(agent_name, waiting.ahead))
        elif told_busy:
            await tell(_waking(agent_name))

    claim = asyncio.create_task(_within_limits(spec, tenant, claim_key(conversation_id), on_wait))
    try:
        done, _ = await asyncio.wait({claim}, timeout=_SAY_WAITING_AFTER)
        if not done and not told_busy:
            await tell(_waking(agent_name))
        return await claim
    except asyncio.CancelledError:
        claim.cancel()
        raise


async def _within_limits(
    spec: RunSpec, tenant: str, key: str, on_wait: Callable[[Waiting], Awaitable[None]]
) -> ClaimedSandbox:
    """A sandbox by the limits of now: one that was started before an operator changed a ceiling is replaced."""

    async def claim() -> ClaimedSandbox:
        return await pool.aclaim(
            spec=spec, tenant=tenant, claim_key=key, wait_seconds=_STARTS * spec.patience_seconds,
            place_seconds=settings.SANDBOX_WAIT_SECONDS, on_wait=on_wait,
        )  # fmt: skip

    try:
        return await claim()
    except pool.ClaimConflict:
        await in_thread(pool.release_claim, claim_key=key, reason="its limits changed")
        return await claim()


def busy_words(agent: str, ahead: int) -> str:
    """What a shopper reads who waits for a place while `ahead` conversations go before."""
    if not ahead:
        return f"The store is busy. You are next: {agent} answers as soon as there is room."
    others = "1 conversation goes" if ahead == 1 else f"{ahead} conversations go"
    return f"The store is busy: {others} before yours. {agent} answers as soon as there is room."


def _waking(agent: str) -> str:
    return f"Waking up {agent}…"
