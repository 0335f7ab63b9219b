"""An account as its owner's bank would print it: each entry with the balance after it, newest first."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from agentstore.kit.money import Money
from agentstore.kit.pagination import MalformedCursor, Page, decode_cursor, encode_cursor
from billing.balances import balance
from billing.models import Account, Entry
from billing.paging import PER_PAGE


@dataclass(frozen=True, slots=True)
class AccountLine:
    """An entry, and what the account's balance was after it; debits are positive."""

    entry: Entry
    after: Money


def read_account_lines(
    account: Account, *, cursor: str | None = None, size: int = PER_PAGE
) -> Page[AccountLine]:
    """A page of an account's entries in the order of their transactions, which an index has at any size.

    The cursor carries the balance on, so that no page adds up the ones before it. Raises MalformedCursor.
    """
    entries = Entry.objects.filter(account=account).select_related("journal").order_by("-xid", "-pk")
    if cursor:
        position = decode_cursor(cursor, parts=3)
        if not all(isinstance(part, int) for part in position):
            raise MalformedCursor("this cursor is of another listing")
        xid, row_id, micros = position
        entries = entries.filter(Q(xid__lt=xid) | Q(xid=xid, pk__lt=row_id), xid__lte=xid)
    else:
        micros = balance(account).micros
    lines = []
    found = list(entries[: size + 1])
    for entry in found[:size]:
        lines.append(AccountLine(entry, Money(micros, account.currency)))
        micros -= entry.amount
    if len(found) <= size:
        return Page(lines)
    last = found[size - 1]
    return Page(lines, encode_cursor([last.xid, last.pk, micros]))
