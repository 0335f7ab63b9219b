"""The dashboard's figures as files: amounts in major units, exact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db import connection
from django.db.models import QuerySet

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from agentstore.kit.tables import Read, Row, in_batches
from billing.balances import tail_floor
from billing.dashboard.open_items import AGES, age_of
from billing.dashboard.spans import Span
from billing.models import Invoice, Payout, SubjectTotal, UsageEvent
from billing.names import names_of
from billing.rollups.subjects import largest_subjects
from billing.totals import TOTALS

_ALL_SUBJECTS: Final = 1_000_000

_MOVED: Final = f"""
SELECT day, account_kind, journal_kind, sum(debit_micros)::bigint, sum(credit_micros)::bigint, sum(entries)::bigint
FROM ({TOTALS}) AS t WHERE currency = %(currency)s AND day BETWEEN %(first)s AND %(last)s
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""  # noqa: S608 (only a constant is put in)

Export = tuple[Sequence[str], Read]


def _major(micros: int) -> Decimal:
    return Money(micros, "").decimal


def _at_once(rows: Callable[[], Sequence[Row]]) -> Read:
    """What is few: read when it is asked for, all of it."""
    return lambda _: (rows(), None)


def totals_export(span: Span, currency: str) -> Export:
    """What moved on each day of a span, by kinds of account and journal."""

    def rows() -> Sequence[Row]:
        with connection.cursor() as cursor:
            given: dict[str, str | date] = {"currency": currency, "first": span.first, "last": span.last}
            cursor.execute(_MOVED, {**given, "floor": tail_floor()})
            return [
                (day, account, journal, _major(debits), _major(credits), entries, currency)
                for day, account, journal, debits, credits, entries in cursor.fetchall()
            ]

    return ("day", "account", "journal", "debits", "credits", "entries", "currency"), _at_once(rows)


def subjects_export(span: Span, currency: str) -> Export:
    """Every merchant, developer and agent with fees in a span."""

    def rows() -> Sequence[Row]:
        found: list[Row] = []
        for role in (SubjectTotal.Role.MERCHANT, SubjectTotal.Role.DEVELOPER, SubjectTotal.Role.AGENT):
            sums = largest_subjects(
                role=role, currency=currency, first=span.first, last=span.last, limit=_ALL_SUBJECTS
            )
            names = names_of(it.ref for it in sums)
            found += [
                (role.value, it.ref, names[it.ref], it.conversations, _major(it.fee_micros),
                 _major(it.share_micros), _major(it.kept_micros), currency)
                for it in sums
            ]  # fmt: skip
        return found

    header = (
        "role",
        "reference",
        "name",
        "conversations",
        "fees",
        "developer_share",
        "store_part",
        "currency",
    )
    return header, _at_once(rows)


def receivables_export(span: Span, currency: str) -> Export:
    """Every open invoice with its age, whatever the span."""
    at = now()
    invoices: QuerySet[Any] = Invoice.objects.filter(status=Invoice.Status.OPEN, currency=currency).annotate(
        age=age_of(at)
    )

    def render(rows: list[Any]) -> Sequence[Row]:
        names = names_of(it.owner_ref for it in rows)
        return [
            (it.number, it.owner_ref, names[it.owner_ref], it.issued_at, it.due_at, AGES[it.age],
             it.total.decimal, Money.from_minor(it.credit_used_minor, currency).decimal,
             Money.from_minor(it.credited_minor, currency).decimal,
             Money.from_minor(it.paid_minor, currency).decimal, it.remaining.decimal, currency)
            for it in rows
        ]  # fmt: skip

    header = (
        *("invoice", "merchant", "name", "issued_at", "due_at", "age"),
        *("total", "from_credit", "credited", "paid", "remaining", "currency"),
    )
    return header, in_batches(invoices, render)


def held_export(span: Span, currency: str) -> Export:
    """Every fee that is not on the books yet, whatever the span."""
    return _events(UsageEvent.objects.filter(status__in=UsageEvent.OPEN, currency=currency))


def _events(events: QuerySet[UsageEvent]) -> Export:
    def render(rows: list[UsageEvent]) -> Sequence[Row]:
        names = names_of(
            ref for it in rows for ref in (it.merchant_ref, it.developer_ref, it.agent_ref) if ref
        )
        return [
            (it.pk, it.occurred_at, it.kind, it.status, it.due_at, it.category, names[it.merchant_ref],
             names[it.developer_ref], names.get(it.agent_ref, ""), it.conversation_ref,
             _major(it.amount_micros), _major(it.developer_share_micros), it.currency)
            for it in rows
        ]  # fmt: skip

    header = (
        *("fee", "occurred_at", "kind", "status", "due_at", "category", "merchant", "developer", "agent"),
        *("conversation", "amount", "developer_share", "currency"),
    )
    return header, in_batches(events, render)


def payouts_export(span: Span, currency: str) -> Export:
    """Every payout, whatever the span."""

    def render(rows: list[Payout]) -> Sequence[Row]:
        names = names_of(it.owner_ref for it in rows)
        return [
            (it.pk, it.owner_ref, names[it.owner_ref], it.month, it.status, it.made_at, it.arrives_at, it.failure,
             it.amount.decimal, it.currency)
            for it in rows
        ]  # fmt: skip

    header = (
        *("payout", "developer", "name", "month", "status", "made_at", "arrives_at", "failure"),
        *("amount", "currency"),
    )
    return header, in_batches(Payout.objects.filter(currency=currency), render)


EXPORTS: Final[dict[str, Callable[[Span, str], Export]]] = {
    "totals": totals_export,
    "subjects": subjects_export,
    "receivables": receivables_export,
    "held": held_export,
    "payouts": payouts_export,
}
