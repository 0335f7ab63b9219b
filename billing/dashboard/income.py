"""Fees less developers' shares, processor fees, losses and rounding: the margin, from the totals by day.

docs/algorithms/margin.md has a worked example, executed as a test.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

from django.db import connection

from agentstore.kit.money import Money
from billing.balances import tail_floor
from billing.dashboard.spans import Span
from billing.models import Account
from billing.statement_words import words_of
from billing.totals import TOTALS

_Kind = Account.Kind

# What touches the store's revenue, by where it comes from. What is not named here is shown as "Other".
SOURCES: Final = {
    "PPCv fees": ("ppcv", "ppcv_reversal"),
    "Agent tax": ("agent_tax", "tax_reversal"),
    "Credited and written off": ("credit_note", "invoice_written_off", "invoice_written_off_reversal"),
}
# Those that always have a row and a line in the chart.
MAIN: Final = tuple(SOURCES)[:2]
_OTHER: Final = "Other"
COSTS: Final = {
    "Processor fees": _Kind.PROCESSOR_FEES.value,
    "Dispute losses": _Kind.DISPUTE_LOSS.value,
    "Rounding": _Kind.ROUNDING.value,
}
_TAKEN_BACK: Final = {
    "refund": _Kind.PROCESSOR_CLEARING.value,
    "dispute": _Kind.DISPUTE_LOSS.value,
    "invoice_disputed": _Kind.DISPUTE_LOSS.value,
    "top_up_disputed": _Kind.DISPUTE_LOSS.value,
}
# A bank's withdrawal is a `dispute` whoever paid; where it was a merchant, one of these says so.
_OF_MERCHANTS: Final = ("invoice_disputed", "top_up_disputed")

_MOVED: Final = f"""
SELECT date_trunc(%(step)s, day)::date, account_kind, journal_kind, sum(debit_micros - credit_micros)::bigint,
       sum(entries)::bigint
FROM ({TOTALS}) AS t
WHERE currency = %(currency)s AND day BETWEEN %(first)s AND %(last)s AND account_kind = ANY(%(kinds)s)
GROUP BY 1, 2, 3
"""  # noqa: S608 (only constants are put in)
_KINDS: Final = [
    _Kind.PLATFORM_REVENUE.value,
    _Kind.DEVELOPER_PENDING.value,
    _Kind.PROCESSOR_CLEARING.value,
    *COSTS.values(),
]


class _Moved(NamedTuple):
    step: date
    account_kind: str
    journal_kind: str
    micros: int
    entries: int


@dataclass(slots=True)
class Part:
    """What one kind of journal came to, in micro-units: charged, of it the developers' share, and the store's part."""

    kind: str
    share: int = 0
    kept: int = 0
    journals: int = 0

    @property
    def words(self) -> str:
        """The kind for people."""
        return words_of(self.kind)

    @property
    def fees(self) -> int:
        """What was charged for both."""
        return self.share + self.kept


@dataclass(slots=True)
class Source:
    """All kinds of journals that are of one source of income."""

    name: str
    parts: list[Part] = field(default_factory=list)

    @property
    def fees(self) -> int:
        """What was charged."""
        return sum(part.fees for part in self.parts)

    @property
    def share(self) -> int:
        """What of it is the developers'."""
        return sum(part.share for part in self.parts)

    @property
    def kept(self) -> int:
        """What of it is the store's."""
        return sum(part.kept for part in self.parts)


@dataclass(frozen=True, slots=True)
class Cost:
    """What an account of costs moved, in micro-units; negative where it brought something. By kind of journal."""

    name: str
    account_kind: str
    parts: dict[str, int]

    @property
    def total(self) -> int:
        """All kinds together."""
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True)
class Income:
    """A span's income in one currency, in micro-units. `steps` are the store's part by source and the margin.

    `taken_back` has for each kind of journal what it came to and how many; `dispute` is without merchants' payments.
    """

    currency: str
    span: Span
    sources: list[Source]
    costs: list[Cost]
    steps: dict[date, dict[str, int]]
    taken_back: dict[str, tuple[int, int]]

    @property
    def fees(self) -> int:
        """What merchants were charged, less what was given back."""
        return sum(source.fees for source in self.sources)

    @property
    def share(self) -> int:
        """The developers' part."""
        return sum(source.share for source in self.sources)

    @property
    def kept(self) -> int:
        """The store's part: what moved on its revenue."""
        return sum(source.kept for source in self.sources)

    @property
    def margin(self) -> int:
        """The store's part less the costs."""
        return self.kept - sum(cost.total for cost in self.costs)

    @property
    def margin_share(self) -> float | None:
        """The margin as a part of the fees; None without any."""
        return self.margin / self.fees if self.fees > 0 else None

    def money(self, micros: int) -> Money:
        """Rounded to the minor unit, for reading."""
        return Money(micros, self.currency).rounded


def source_of(journal_kind: str) -> str:
    """Which source a kind of journal is of."""
    return next((name for name, kinds in SOURCES.items() if journal_kind in kinds), _OTHER)


def read_income(*, currency: str, span: Span) -> Income:
    """Everything that moved in a span on revenue, shares and costs: one query, whatever the number of events."""
    values: dict[str, str | date | list[str]] = {
        "step": span.step,
        "currency": currency,
        "first": span.first,
        "last": span.last,
        "kinds": _KINDS,
        "floor": tail_floor(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_MOVED, values)
        rows = [_Moved(*row) for row in cursor.fetchall()]
    earning = {row.journal_kind for row in rows if row.account_kind == _Kind.PLATFORM_REVENUE}
    return Income(
        currency,
        span,
        sources=_sources(rows, earning),
        costs=[Cost(name, kind, _by_kind(rows, kind)) for name, kind in COSTS.items()],
        steps=_steps(rows, span),
        taken_back=_taken_back(rows),
    )


def _taken_back(rows: list[_Moved]) -> dict[str, tuple[int, int]]:
    sums = dict.fromkeys(_TAKEN_BACK, (0, 0))
    for row in rows:
        if _TAKEN_BACK.get(row.journal_kind) == row.account_kind:
            micros, count = sums[row.journal_kind]
            sums[row.journal_kind] = (micros + row.micros, count + row.entries)
    found = {kind: (abs(micros), count) for kind, (micros, count) in sums.items()}
    micros, count = found["dispute"]
    of_merchants = [found[kind] for kind in _OF_MERCHANTS]
    found["dispute"] = (micros - sum(it[0] for it in of_merchants), count - sum(it[1] for it in of_merchants))
    return found


def _sources(rows: list[_Moved], earning: set[str]) -> list[Source]:
    parts: dict[str, Part] = {kind: Part(kind) for kind in sorted(earning)}
    for row in rows:
        part = parts.get(row.journal_kind)
        if part is None:
            continue
        if row.account_kind == _Kind.PLATFORM_REVENUE:
            part.kept -= row.micros
            part.journals += row.entries
        elif row.account_kind == _Kind.DEVELOPER_PENDING:
            part.share -= row.micros
    sources = {name: Source(name) for name in [*SOURCES, _OTHER]}
    for part in parts.values():
        sources[source_of(part.kind)].parts.append(part)
    return [source for source in sources.values() if source.parts or source.name in MAIN]


def _by_kind(rows: list[_Moved], account_kind: str) -> dict[str, int]:
    found: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        if row.account_kind == account_kind:
            found[row.journal_kind] += row.micros
    return dict(sorted(found.items()))


def _steps(rows: list[_Moved], span: Span) -> dict[date, dict[str, int]]:
    names = [*MAIN, "Margin"]
    steps = {start: dict.fromkeys(names, 0) for start in span.steps()}
    for row in rows:
        if row.account_kind == _Kind.PLATFORM_REVENUE:
            source = source_of(row.journal_kind)
            if source in steps[row.step]:
                steps[row.step][source] -= row.micros
            steps[row.step]["Margin"] -= row.micros
        elif row.account_kind in COSTS.values():
            steps[row.step]["Margin"] -= row.micros
    return steps
