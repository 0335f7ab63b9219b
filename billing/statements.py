"""Months closed and statements made of them; each in a transaction of its own, so that a kill costs nothing.

docs/algorithms/statements.md has a worked example, executed as a test.
"""

from __future__ import annotations

from django.db import connection, transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Refused
from agentstore.kit.locks import wait_turn
from agentstore.kit.money import Money
from billing.accounts import merchant_receivable, rounding
from billing.invoices import prepare_invoice
from billing.ledger import credit, debit, post
from billing.models import Account, Journal, Statement, StatementBalance, StatementLine, StatementPeriod
from billing.periods import Month, latest_closed
from billing.statement_rules import (
    FIRST,
    ROUNDING,
    SETTLING,
    Item,
    Place,
    Sum,
    items_of,
    owners_in,
    sign_of,
    sums_of,
)


class MonthStillOpen(Refused):
    """The month's grace is not over yet: things that happened in it may still come."""

    code = "month_still_open"


@transaction.atomic
def close_month(month: Month) -> StatementPeriod:
    """Draw the line under a month, once; what is booked later goes to the next statement.

    The mark is the oldest transaction still running: what is below it is all there and all visible. Raises
    MonthStillOpen during the month and its grace.
    """
    if now() < month.closes_at:
        raise MonthStillOpen(f"{month} closes on {month.closes_at:%d %B}.")
    wait_turn("billing.close_month")
    found = StatementPeriod.objects.filter(month=str(month)).first()
    if found is not None:
        return found
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
        mark = int(cursor.fetchone()[0])
    return StatementPeriod.objects.create(month=str(month), ends_at=month.end, mark=mark)


def close_due_months() -> int:
    """Close what is due, oldest first, and make every statement that is missing; how many were made.

    Must own its transactions. May be killed and run again at any time.
    """
    due = latest_closed(now())
    last = StatementPeriod.objects.last()
    month = due if last is None else Month.parse(last.month).next()
    # One month is finished before the next is closed, so only the last can lack statements.
    made = make_statements(last) if last is not None else 0
    while month <= due:
        made += make_statements(close_month(month))
        month = month.next()
    return made


def make_statements(period: StatementPeriod) -> int:
    """The statements of a closed month that are missing; how many."""
    have = set(Statement.objects.filter(period=period).values_list("owner_ref", "currency"))
    missing = [owner for owner in owners_in(period) if owner not in have]
    for owner_ref, currency in missing:
        make_statement(period=period, owner_ref=owner_ref, currency=currency)
    return len(missing)


@transaction.atomic
def make_statement(*, period: StatementPeriod, owner_ref: str, currency: str) -> Statement:
    """One owner's statement, once: its lines, balances, rounding, and the invoice for its charges."""
    wait_turn(f"billing.statement:{owner_ref}")
    earlier = Statement.objects.filter(owner_ref=owner_ref, currency=currency)
    found = earlier.filter(period=period).first()
    if found is not None:
        return found
    sums = sums_of(period, owner_ref, currency)
    statement = Statement(period=period, owner_ref=owner_ref, currency=currency)
    lines = [_line(statement, number, it) for number, it in enumerate(sums, start=1)]
    charges = [line for line in lines if line.charge]
    statement.charges_minor = sum(line.amount_minor for line in charges)
    exact = sum(line.exact_micros for line in charges)
    statement.rounding_micros = Money.from_minor(statement.charges_minor, currency).micros - exact
    statement.carried_in_minor = sum(
        earlier.filter(invoice=None, period__month__lt=period.month).values_list("charges_minor", flat=True)
    )
    statement.save(force_insert=True)
    StatementLine.objects.bulk_create(lines)
    StatementBalance.objects.bulk_create(_balances(statement, lines))
    _post_rounding(statement)
    prepare_invoice(statement=statement)
    return statement


def _line(statement: Statement, number: int, it: Sum) -> StatementLine:
    exact = sign_of(it.account_kind) * it.amount
    return StatementLine(
        statement=statement,
        number=number,
        account_kind=it.account_kind,
        kind=it.kind,
        category=it.category,
        price_version_id=it.price_version_id,
        late_from=it.late_from,
        charge=it.account_kind == Account.Kind.MERCHANT_RECEIVABLE and it.kind not in SETTLING,
        quantity=it.quantity,
        exact_micros=exact,
        amount_minor=Money(exact, statement.currency).minor,
    )


def _balances(statement: Statement, lines: list[StatementLine]) -> list[StatementBalance]:
    moved: dict[str, int] = {}
    for line in lines:
        moved[line.account_kind] = moved.get(line.account_kind, 0) + line.exact_micros
    if statement.rounding_micros:
        receivable = Account.Kind.MERCHANT_RECEIVABLE.value
        moved[receivable] = moved.get(receivable, 0) + statement.rounding_micros
    opening: dict[str, int] = {}
    for before in StatementBalance.objects.filter(
        statement__owner_ref=statement.owner_ref,
        statement__currency=statement.currency,
        statement__period__month__lt=statement.period_id,
    ).order_by("statement__period__month"):
        opening[before.account_kind] = before.closing_micros
    return [
        StatementBalance(
            statement=statement,
            account_kind=kind,
            opening_micros=opening.get(kind, 0),
            closing_micros=opening.get(kind, 0) + moved.get(kind, 0),
        )
        for kind in sorted({*opening, *moved})
    ]


def _post_rounding(statement: Statement) -> None:
    """What rounding to whole cents added or took, so that the receivable is what will be invoiced."""
    if not statement.rounding_micros:
        return
    post(
        kind=ROUNDING,
        idempotency_key=f"{ROUNDING}:{statement.pk}",
        occurred_at=statement.period.ends_at,
        entries=[
            debit(merchant_receivable(statement.owner_ref, statement.currency), statement.rounding_micros),
            credit(rounding(statement.currency), statement.rounding_micros),
        ],
        memo=f"{statement.period_id} in whole minor units",
    )


def line_items(line: StatementLine, *, limit: int, after: Place = FIRST) -> list[Item]:
    """The movements that a line adds up, as they were posted: down to the conversation."""
    return items_of(
        line.statement.period,
        owner_ref=line.statement.owner_ref,
        currency=line.statement.currency,
        account_kind=line.account_kind,
        kind=line.kind,
        category=line.category,
        price_version_id=line.price_version_id,
        late_from=line.late_from,
        limit=limit,
        after=after,
    )


def line_of(
    journal: Journal,
    *,
    owner_ref: str,
    currency: str,
    category: str,
    account_kind: str = Account.Kind.MERCHANT_RECEIVABLE.value,
) -> StatementLine | None:
    """The line of an owner's account that a journal is part of; None while its month is open."""
    period = StatementPeriod.objects.filter(mark__gt=journal.xid, ends_at__gt=journal.occurred_at).first()
    if period is None:
        return None
    happened = Month.of(journal.occurred_at)
    return StatementLine.objects.filter(
        statement__period=period,
        statement__owner_ref=owner_ref,
        statement__currency=currency,
        account_kind=account_kind,
        kind=journal.kind,
        category=category,
        price_version=journal.price_version_id,
        late_from="" if str(happened) >= period.month else str(happened),
    ).first()
