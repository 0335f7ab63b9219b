"""Runs one turn: claims the sandbox, speaks to the agent, streams what it says, ends the turn in words.

It is a coroutine of the web process (or of a rehearsal's task). It holds neither a thread nor a database
connection while it waits; a process that dies is noticed by the lease (`turns.reap_turns`).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import structlog

from agentstore.kit.text import storable
from agentstore.kit.threads import in_thread, start_background
from marketplace.publishing.specs import run_spec_for
from marketplace.shopping import events, turns
from marketplace.shopping.claims import claim_sandbox
from marketplace.shopping.events import Name
from marketplace.shopping.failures import INTERNAL, Failure, failure_of
from marketplace.shopping.inquiries import looked_into
from marketplace.shopping.leases import lease_kept
from marketplace.shopping.models import Message, Turn
from sandbox import protocols
from sandbox.failures import AgentFailure, Fault
from sandbox.pool import ClaimedSandbox
from sandbox.protocols import InvokeRequest, TextDelta
from sandbox.spec import RunSpec

log = structlog.get_logger(__name__)

ANSWER_LETTERS = 32_000
# How many earlier messages an agent is told again.
_HISTORY = 40
# Pieces that come closer together travel as one event.
_FLUSH_SECONDS = 0.03

_running: dict[uuid.UUID, asyncio.Task[None]] = {}


@dataclass(frozen=True, slots=True)
class Brief:
    """All that a turn needs to know, read once."""

    turn_id: uuid.UUID
    conversation_id: uuid.UUID
    owner: str
    agent_name: str
    tenant: str
    protocol: str
    spec: RunSpec
    request: InvokeRequest


@dataclass
class Speech:
    """What the agent has said, passed on in pieces that are worth an event."""

    brief: Brief
    started: float = field(default_factory=time.monotonic)
    text: str = ""
    first_event_ms: int | None = None
    _told: int = 0
    _more: asyncio.Event = field(default_factory=asyncio.Event)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, piece: str) -> None:
        """Take a piece. Raises AgentFailure `answer_too_large`."""
        if self.first_event_ms is None:
            self.first_event_ms = int((time.monotonic() - self.started) * 1000)
        self.text += storable(piece)
        if len(self.text) > ANSWER_LETTERS:
            raise AgentFailure("The answer is too long.", fault=Fault.AGENT, code="answer_too_large")
        self._more.set()

    async def pass_on(self) -> None:
        """Tell the pieces, the last ones too, until the speech is over."""
        while not self._over.is_set():
            await self._more.wait()
            await self.flush()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), _FLUSH_SECONDS)
        await self.flush()

    def end(self) -> None:
        """Nothing more will be said."""
        self._over.set()
        self._more.set()

    async def flush(self) -> None:
        """Tell what has not been told yet."""
        self._more.clear()
        piece, self._told = self.text[self._told :], len(self.text)
        if piece:
            await events.atell(
                self.brief.conversation_id, Name.MESSAGE_DELTA, turn=str(self.brief.turn_id), text=piece
            )


def start(turn: Turn) -> asyncio.Task[None]:
    """Run the turn on after the request that began it."""
    work = run_turn(turn.pk, owner=turn.lease_owner)
    task = start_background(work, name=f"turn {turn.pk}")
    _running[turn.pk] = task
    task.add_done_callback(lambda _: _running.pop(turn.pk, None))
    return task


def interrupt(turn_id: uuid.UUID) -> None:
    """Stop working on a turn that was ended elsewhere; in another process its next renewal notices."""
    task = _running.get(turn_id)
    if task is not None:
        task.cancel()


async def run_turn(turn_id: uuid.UUID, *, owner: str) -> None:
    """All of one turn, as the owner of its lease. Whatever happens, the turn is ended, by this or by whoever
    took it over. Never raises.
    """
    work = asyncio.create_task(_run_leased(turn_id, owner))
    loop = asyncio.get_running_loop()

    def lost() -> None:
        with suppress(RuntimeError):  # the loop has ended, and the work with it
            loop.call_soon_threadsafe(work.cancel)

    with lease_kept(turn_id, owner, lost=lost):
        try:
            await work
        except asyncio.CancelledError:
            # The turn is no longer ours: it was stopped, reaped, or this process ends and the reaper will see to it.
            work.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await work


async def _run_leased(turn_id: uuid.UUID, owner: str) -> None:
    try:
        brief = await in_thread(read_brief, turn_id, owner)
    except Exception:
        log.exception("turn_not_read", turn=str(turn_id))
        await _fail_unread(turn_id, owner)
        return
    speech = Speech(brief)
    try:
        await _converse(speech)
        await in_thread(
            turns.end_turn, turn_id=turn_id, status=Turn.Status.DONE, by="runner", text=speech.text,
            owner=brief.owner, first_event_ms=speech.first_event_ms,
        )  # fmt: skip
    except Exception as error:
        await in_thread(
            turns.end_turn, turn_id=turn_id, status=Turn.Status.FAILED, by="runner", text=speech.text,
            owner=brief.owner, failure=_noted(error, brief), first_event_ms=speech.first_event_ms,
        )  # fmt: skip


def read_brief(turn_id: uuid.UUID, owner: str) -> Brief:
    """What the rows say about a turn."""
    turn = Turn.objects.select_related("conversation__agent", "conversation__version").get(pk=turn_id)
    conversation, version = turn.conversation, turn.conversation.version
    said = list(
        conversation.messages.exclude(text="")
        .order_by("-turn__index", "-at")
        .values_list("role", "text")[:_HISTORY]
    )
    roles = {Message.Role.SHOPPER.value: "user", Message.Role.AGENT.value: "assistant"}
    messages = [protocols.Message(role=roles[role], content=text) for role, text in reversed(said)]  # type: ignore[arg-type]  # the dict's values are the literals
    spec = run_spec_for(version)
    return Brief(
        turn_id=turn.pk, conversation_id=conversation.pk, owner=owner,
        agent_name=conversation.agent.name, tenant=version.tenant, protocol=spec.protocol, spec=spec,
        request=InvokeRequest(
            prompt=messages[-1].content, messages=messages, conversation=str(conversation.pk),
            turn=str(turn.pk),
            locale=conversation.locale, currency=conversation.currency, consents=tuple(conversation.consents),
        ),
    )  # fmt: skip


async def _converse(speech: Speech) -> None:
    brief = speech.brief
    sandbox = await _claim(brief)
    try:
        await _hear(speech, sandbox)
    except AgentFailure as failed:
        raise await looked_into(failed, sandbox.id) from failed


async def _hear(speech: Speech, sandbox: ClaimedSandbox) -> None:
    brief = speech.brief
    teller = asyncio.create_task(speech.pass_on())
    try:
        answer = protocols.for_name(brief.protocol).invoke(
            sandbox.door, brief.request, sandbox.turn_seconds, sandbox.answer_bytes
        )
        async for event in answer:
            if isinstance(event, TextDelta):
                speech.add(event.text)
    finally:
        speech.end()
        await teller
    if not speech.text.strip() and not await in_thread(_has_cards, brief.turn_id):
        raise AgentFailure("The agent said nothing.", fault=Fault.AGENT, code="empty_answer")


def _has_cards(turn_id: uuid.UUID) -> bool:
    return Turn.objects.get(pk=turn_id).recommendations.filter(status="shown").exists()


async def _claim(brief: Brief) -> ClaimedSandbox:
    sandbox = await claim_sandbox(
        spec=brief.spec, tenant=brief.tenant, conversation_id=brief.conversation_id,
        agent_name=brief.agent_name, tell=partial(_tell_status, brief, "waiting"),
    )  # fmt: skip
    await _tell_status(brief, "thinking", f"{brief.agent_name} is thinking…")
    return sandbox


async def _tell_status(brief: Brief, state: str, message: str) -> None:
    await events.atell(
        brief.conversation_id, Name.STATUS, turn=str(brief.turn_id), state=state, message=message
    )


def _noted(error: Exception, brief: Brief) -> Failure:
    failure = failure_of(error)
    if failure.fault == Fault.PLATFORM:
        log.error("turn_failed", turn=str(brief.turn_id), code=failure.code, exc_info=error)
    return failure


async def _fail_unread(turn_id: uuid.UUID, owner: str) -> None:
    with suppress(Exception):
        await in_thread(
            turns.end_turn, turn_id=turn_id, status=Turn.Status.FAILED, by="runner", failure=INTERNAL,
            owner=owner,
        )  # fmt: skip
