"""Answers that were written to hurt, from inside a real sandbox to the store's own bounded client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import psutil

from sandbox.bench import Bench, Probe
from sandbox.conformance.registry import ATTACKS, Seen, check
from sandbox.failures import AgentFailure, Fault
from sandbox.spec import MIB

_FIX = "Update the store: this is kept by sandbox/protocols/client.py."
_SLOW_DEADLINE, _DEADLINE = 1.5, 8.0
# What our side may grow by, whatever comes: many times the largest answer that is allowed.
_GROWTH = 48 * MIB


def _judge(bench: Bench, expected: Mapping[str, str], deadline: float) -> Seen:
    """All at once: each ends with its code as the agent's fault, in time, without our memory growing."""
    probe = bench.shared()
    us = psutil.Process()
    before, started = us.memory_info().rss, time.monotonic()
    told = asyncio.run(_ask_all(probe, list(expected), deadline))
    seconds, growth = time.monotonic() - started, us.memory_info().rss - before
    wrong = {kind: answer for kind, answer in told.items() if answer != expected[kind]}
    bounded = seconds < deadline + 4 and growth < _GROWTH
    alive = probe.ask("gateway", path="/")["status"] == 200
    detail = f"{len(told)} answers in {seconds:.1f} s, {growth // MIB} MiB more"
    return not wrong and bounded and alive, f"{wrong} {detail}" if wrong else detail


async def _ask_all(probe: Probe, kinds: list[str], deadline: float) -> dict[str, str]:
    gate = asyncio.Semaphore(8)  # the relay takes 16 at once

    async def ask(kind: str) -> str:
        async with gate:
            try:
                return f"answered: {await probe.answer(kind, deadline):.40}"
            except AgentFailure as failed:
                return str(failed.code) if failed.fault == Fault.AGENT else f"{failed.fault}: {failed.code}"

    return dict(zip(kinds, await asyncio.gather(*(ask(kind) for kind in kinds)), strict=True))


@check(
    ATTACKS,
    proves="Slow-loris answers end at the deadline, whatever drips: head, lines, body, chunks, events, or nothing.",
    rests_on="one total deadline for an exchange",
    fix=_FIX,
)
def bounds_slow_answers(bench: Bench) -> Seen:
    """All at once."""
    kinds = (
        *(
            "silence",
            "dripping_headers",
            "dripping_lines",
            "dripping_body",
            "dripping_chunks",
            "dripping_events",
        ),
    )
    return _judge(bench, dict.fromkeys(kinds, "turn_timeout"), _SLOW_DEADLINE)


@check(
    ATTACKS,
    proves="Endless answers end at the limit of bytes, of pieces, of a line, of a head, or of interim answers.",
    rests_on="1 MiB of body in 20 000 pieces, 16 KiB of head, 4 interim answers, 64 KiB a line",
    fix=_FIX,
)
def bounds_endless_answers(bench: Bench) -> Seen:
    """As fast as they come."""
    return _judge(bench, {
        "endless_body": "answer_too_large", "endless_length": "answer_too_large",
        "endless_events": "answer_too_large", "endless_line": "bad_answer",
        "endless_data_lines": "answer_too_large", "tiny_chunks": "answer_too_large",
        "endless_trailers": "headers_too_large", "endless_chunk_extension": "headers_too_large",
        "interim_flood": "bad_answer",
    }, _DEADLINE)  # fmt: skip


@check(
    ATTACKS,
    proves="Heads that are too large are refused before they are kept.",
    rests_on="16 KiB of head",
    fix=_FIX,
)
def bounds_headers(bench: Bench) -> Seen:
    """One huge header, a hundred thousand, a status line of a megabyte."""
    kinds = ("huge_header", "many_headers", "huge_status_line")
    return _judge(bench, dict.fromkeys(kinds, "headers_too_large"), _DEADLINE)


@check(
    ATTACKS,
    proves="What is not HTTP, or breaks off, is a typed failure of the agent's.",
    rests_on="h11 parses, strictly",
    fix=_FIX,
)
def refuses_broken_answers(bench: Bench) -> Seen:
    """Invalid chunks and lengths, garbage, answers closed in the middle, JSON bombs."""
    broken = (
        "chunk_without_size", "negative_chunk", "huge_chunk_size", "two_lengths", "garbage", "negative_length",
        "switched_protocol", "folded_nul", "nested", "not_utf8", "huge_number",
    )  # fmt: skip
    lost = ("closed_at_once", "closed_in_the_head", "cut_in_a_chunk", "closed_in_the_body")
    return _judge(
        bench, dict.fromkeys(broken, "bad_answer") | dict.fromkeys(lost, "connection_lost"), _DEADLINE
    )


@check(
    ATTACKS,
    proves="No redirect is followed and nothing is unpacked.",
    rests_on="neither is implemented",
    fix=_FIX,
)
def refuses_redirects_and_codings(bench: Bench) -> Seen:
    """To the metadata service, to a file, to the database; gzip bombs, deflate, several codings at once."""
    redirects = ("redirect_metadata", "redirect_file", "redirect_method")
    codings = ("gzip_bomb", "deflate", "several_codings")
    return _judge(bench, {
        **dict.fromkeys(redirects, "redirect"), **dict.fromkeys(codings, "encoded_answer"),
        "transfer_gzip": "bad_answer",
    }, _DEADLINE)  # fmt: skip
