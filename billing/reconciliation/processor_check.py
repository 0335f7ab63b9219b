"""Processor against ledger: each transaction of a day has its journals, each journal its transaction."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db.models import Q

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from billing.models import Account, Entry, Journal, Payout, PayoutHold, ProcessorMovement, WebhookEvent
from billing.periods import day_of, end_of, start_of
from billing.reconciliation.findings import Difference, Findings
from billing.reconciliation.matching import KINDS, REVERSALS, journals_of, key_of_journal

_BATCH = 500
_CLEARING = Account.Kind.PROCESSOR_CLEARING.value
_FEES = Account.Kind.PROCESSOR_FEES.value


@dataclass(slots=True)
class Side:
    """What one side says of a key, in micro-units by currency. `net` is after the fee."""

    net: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    fee: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def moves(self) -> set[str]:
        """The currencies in which anything moves."""
        return {currency for sums in (self.net, self.fee) for currency, micros in sums.items() if micros}


@dataclass(slots=True)
class Pair:
    """Both sides of a key, when it last moved, and where a page leads from it."""

    processor: Side = field(default_factory=Side)
    books: Side = field(default_factory=Side)
    last: datetime | None = None
    processor_ref: str = ""
    journal_id: uuid.UUID | None = None

    def moved(self, at: datetime) -> None:
        """Note that it moved then."""
        self.last = at if self.last is None else max(self.last, at)


def check_processor(day: date) -> Findings:
    """Compare all that moved on a day, on either side, under its keys.

    A key belongs to the day on which it moved last, so that what was late is compared once, when it is whole. What
    is younger than the grace, or prepared for a payout that is on hold, is under way.
    """
    findings = Findings()
    keys = sorted(_keys_of(day))
    for start in range(0, len(keys), _BATCH):
        pairs = _read(keys[start : start + _BATCH])
        for key, pair in sorted(pairs.items()):
            if pair.last is not None and day_of(pair.last) == day:
                _compare(key, pair, findings)
    return findings


def _keys_of(day: date) -> set[str]:
    since, until = start_of(day), end_of(day)
    moved = ProcessorMovement.objects.filter(created_at__gte=since, created_at__lt=until)
    keys = set(moved.values_list("match_key", flat=True))
    journals = Journal.objects.filter(
        posted_at__gte=since, posted_at__lt=until, kind__in=[*KINDS, *REVERSALS]
    )
    return keys | set(_keys_of_journals(journals.values_list(*_JOURNAL)).values())


_JOURNAL = (
    *("id", "kind", "idempotency_key", "processor_link__payment_ref"),
    *("reverses__kind", "reverses__idempotency_key", "reverses__processor_link__payment_ref"),
)


def _keys_of_journals(rows: Iterable[tuple[object, ...]]) -> dict[object, str]:
    """Each journal's key; a reversal's is that of what it takes back, a fee's that of the payment it was of."""
    keys: dict[object, str] = {}
    for journal_id, kind, own, link, taken_kind, taken, taken_link in rows:
        back = str(kind).endswith("_reversal")
        keys[journal_id] = key_of_journal(
            kind=str(taken_kind if back else kind),
            idempotency_key=str(taken if back else own),
            payment_ref=str((taken_link if back else link) or ""),
        )
    fees = {key.removeprefix("fee:") for key in keys.values() if key.startswith("fee:")}
    of = {
        ref: key
        for payment, source, key in ProcessorMovement.objects.filter(
            Q(payment_ref__in=fees) | Q(source_ref__in=fees)
        ).values_list("payment_ref", "source_ref", "match_key")
        for ref in (payment, source)
    }
    return {
        journal_id: of.get(ref, f"payment:{ref}") if (ref := key.removeprefix("fee:")) != key else key
        for journal_id, key in keys.items()
    }


def _read(keys: list[str]) -> dict[str, Pair]:
    pairs = {key: Pair() for key in keys}
    payments: dict[str, set[str]] = defaultdict(set)
    sources: dict[str, set[str]] = defaultdict(set)
    for row in ProcessorMovement.objects.filter(match_key__in=keys).order_by("created_at", "id"):
        pair = pairs[row.match_key]
        unit = Money.from_minor(1, row.currency).micros
        pair.processor.net[row.currency] += (row.amount_minor - row.fee_minor) * unit
        pair.processor.fee[row.currency] += row.fee_minor * unit
        pair.moved(row.created_at)
        pair.processor_ref = row.source_ref or row.id
        if row.payment_ref:
            payments[row.match_key].add(row.payment_ref)
            sources[row.match_key].add(row.source_ref)
    _read_books(pairs, payments, sources)
    return pairs


def _read_books(pairs: dict[str, Pair], payments: dict[str, set[str]], sources: dict[str, set[str]]) -> None:
    wanted = [own for key in pairs for own in journals_of(key, payments=payments[key], sources=sources[key])]
    paid = [key.removeprefix("payment:") for key in pairs if key.startswith("payment:")]
    own = Q(idempotency_key__in=wanted) | Q(processor_link__payment_ref__in=paid)
    found = set(Journal.objects.filter(own).values_list("id", flat=True))
    found |= set(Journal.objects.filter(reverses__in=found, kind__in=REVERSALS).values_list("id", flat=True))
    key_of = _keys_of_journals(Journal.objects.filter(pk__in=found).values_list(*_JOURNAL))
    entries = Entry.objects.filter(journal__in=found, account__kind__in=[_CLEARING, _FEES])
    for entry in entries.select_related("account", "journal").order_by("journal_id", "leg"):
        pair = pairs.get(key_of[entry.journal_id])
        if pair is None:
            continue
        side = pair.books.net if entry.account.kind == _CLEARING else pair.books.fee
        side[entry.account.currency] += entry.amount
        pair.moved(entry.journal.posted_at)
        pair.journal_id = pair.journal_id or entry.journal_id


def _compare(key: str, pair: Pair, findings: Findings) -> None:
    findings.compared += 1
    there, here = pair.processor, pair.books
    lines = list(_lines(key, pair))
    if not lines:
        return
    until = _in_order_until(key, pair)
    if until is None:
        for line in lines:
            findings.add(line)
        return
    findings.wait(until)
    for currency in there.moves() | here.moves():
        findings.in_flight_micros[currency] += there.net[currency] - here.net[currency]


def _lines(key: str, pair: Pair) -> Iterable[Difference]:
    there, here = pair.processor, pair.books

    def line(
        problem: str, currency: str, expected: int | None, found: int | None, detail: str = ""
    ) -> Difference:
        return Difference(
            problem,
            key,
            detail,
            currency=currency,
            expected=expected,
            found=found,
            journal_id=pair.journal_id,
            processor_ref=pair.processor_ref,
        )

    if here.moves() == set() or there.moves() == set():
        for currency in sorted(there.moves()):
            yield line("not_booked", currency, there.net[currency], None, _in_the_inbox(key, pair))
        for currency in sorted(here.moves()):
            yield line("not_at_processor", currency, None, here.net[currency])
        return
    for currency in sorted(there.moves() ^ here.moves()):
        yield line("currency", currency, there.net[currency], here.net[currency])
    for currency in sorted(there.moves() & here.moves()):
        if there.fee[currency] != here.fee[currency]:
            yield line("fee", currency, there.fee[currency], here.fee[currency])
        gross, booked = (side.net[currency] + side.fee[currency] for side in (there, here))
        if gross != booked:
            yield line("amount", currency, gross, booked)


def _in_the_inbox(key: str, pair: Pair) -> str:
    """What the inbox knows of something that is not booked: why its event waits, or that none does."""
    ids = [pair.processor_ref, key.partition(":")[2]]
    waits = WebhookEvent.objects.filter(handled_at=None).filter(
        Q(payload__data__object__id__in=ids) | Q(payload__data__object__payment_intent__in=ids)
    )
    event = waits.order_by("-received_at").first()
    if event is None:
        return "no event of it waits in the inbox"
    return f"{event.type} waits, tried {event.attempts} times. {event.last_error}"[:300].strip()


def _in_order_until(key: str, pair: Pair) -> datetime | None:
    """Until when a pair that does not agree is in order; None when it is not any more."""
    grace = timedelta(seconds=settings.RECONCILIATION_GRACE_SECONDS)
    if pair.last is not None and pair.last + grace > now():
        return pair.last + grace
    if key.startswith("payout:") and not pair.processor.moves() and _is_held(key.removeprefix("payout:")):
        return now() + grace
    return None


def _is_held(payout_id: str) -> bool:
    payout = Payout.objects.filter(pk=payout_id, status=Payout.Status.PREPARED).first()
    return (
        payout is not None and PayoutHold.objects.filter(owner_ref=payout.owner_ref, lifted_at=None).exists()
    )
