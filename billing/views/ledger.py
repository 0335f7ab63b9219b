"""The operator's way through the books: trial balance, closed days, accounts, journals, one journal."""

from __future__ import annotations

import uuid
from collections import defaultdict
from datetime import date, timedelta

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from agentstore.identity.access import require_operator
from agentstore.kit.ids import first_id_at
from agentstore.kit.money import Money
from billing import ledger, totals
from billing.account_pages import read_account_lines
from billing.models import Account, DailyClose, Journal
from billing.names import names_of
from billing.paging import PER_PAGE, newest
from billing.periods import end_of, start_of

KINDS = (
    *("sale", "processor_fee", "refund", "dispute", "dispute_won", "dispute_lost"),
    *("ppcv", "ppcv_reversal", "agent_tax", "tax_reversal"),
    *("top_up", "top_up_disputed", "top_up_dispute_won"),
    *(
        "statement_rounding",
        "invoice_tax",
        "invoice_paid",
        "invoice_written_off",
        "invoice_written_off_reversal",
        "credit_note",
        "credit_note_tax",
        "invoice_disputed",
        "invoice_dispute_won",
        "invoice_repaid",
    ),
    *("earning_release", "reserve_release", "clawback", "payout", "payout_reversal"),
    *("bank_payout", "bank_payout_reversal"),
)


@require_GET
def trial_balance(request: HttpRequest) -> HttpResponse:
    """/operator/ledger/: the trial balance and the newest journals, filtered by kind or key."""
    require_operator(request.user)
    day = _day(request)
    lines = totals.trial_balance_on(day) if day else ledger.trial_balance()
    off: dict[str, Money] = defaultdict(lambda: Money(0, ""))
    for line in lines:
        off[line.currency] = Money(off[line.currency].micros + line.balance.micros, line.currency)
    journals = Journal.objects.all()
    kind, query = request.GET.get("kind", ""), request.GET.get("q", "").strip()
    if kind:
        journals = journals.filter(kind=kind)
    if query:
        journals = journals.filter(idempotency_key__startswith=query)
    first, last = _day(request, "first"), _day(request, "last")
    if first and last:
        journals = _posted_between(journals, first, last)
    page = newest(journals.prefetch_related("entries__account"), cursor=_cursor(request))
    return render(
        request,
        "operator/ledger.html",
        {
            "lines": lines,
            "day": day,
            "balanced": all(difference.micros == 0 for difference in off.values()),
            "off": [str(difference) for difference in off.values() if difference.micros],
            "journals": [(journal, _moved(journal)) for journal in page.items],
            "next_cursor": page.next_cursor,
            "kind": kind,
            "kinds": KINDS,
            "query": query,
            "first": first,
            "last": last,
        },
    )


@require_GET
def accounts(request: HttpRequest) -> HttpResponse:
    """/operator/ledger/accounts/: every account, its owner and balance."""
    require_operator(request.user)
    rows = Account.objects.order_by("kind", "owner_ref", "currency")
    kind = request.GET.get("kind", "")
    if kind in Account.Kind.values:
        rows = rows.filter(kind=kind)
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    names = names_of(account.owner_ref for account in page)
    balances = ledger.balances_of(account.pk for account in page)
    return render(
        request,
        "operator/ledger_accounts.html",
        {
            "page": page,
            "rows": [
                (account, names[account.owner_ref], Money(balances[account.pk], account.currency))
                for account in page
            ],
            "kind": kind,
            "kinds": Account.Kind.choices,
        },
    )


@require_GET
def account(request: HttpRequest, account_id: int) -> HttpResponse:
    """/operator/ledger/accounts/<id>/: an account's entries, each with the balance after it, newest first."""
    require_operator(request.user)
    found = get_object_or_404(Account, pk=account_id)
    page = read_account_lines(found, cursor=_cursor(request))
    return render(
        request,
        "operator/ledger_account.html",
        {
            "account": found,
            "owner": names_of([found.owner_ref])[found.owner_ref],
            "balance": ledger.balance(found),
            "lines": page.items,
            "next_cursor": page.next_cursor,
        },
    )


@require_GET
def closes(request: HttpRequest) -> HttpResponse:
    """/operator/ledger/closes/: the closed days with their digests, newest first."""
    require_operator(request.user)
    page = Paginator(DailyClose.objects.all(), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "operator/ledger_closes.html", {"page": page})


@require_GET
def journal(request: HttpRequest, journal_id: uuid.UUID) -> HttpResponse:
    """/operator/ledger/journals/<id>/: one movement with its entries and what it came from."""
    require_operator(request.user)
    found = get_object_or_404(
        Journal.objects.select_related("price_version", "reverses").prefetch_related("entries__account"),
        pk=journal_id,
    )
    names = names_of(entry.account.owner_ref for entry in found.entries.all())
    return render(
        request,
        "operator/ledger_journal.html",
        {
            "journal": found,
            "entries": [(entry, names[entry.account.owner_ref]) for entry in found.entries.all()],
            "reversals": found.reversals.order_by("posted_at"),
            "event": getattr(found, "usage_event", None),
            "content": bytes(found.content_sha256).hex(),
        },
    )


def _moved(journal: Journal) -> list[Money]:
    """How much a journal moves, in each currency: the sum of its debits."""
    sums: dict[str, int] = defaultdict(int)
    for entry in journal.entries.all():
        if entry.amount > 0:
            sums[entry.account.currency] += entry.amount
    return [Money(micros, currency) for currency, micros in sums.items()]


def _posted_between(journals: QuerySet[Journal], first: date, last: date) -> QuerySet[Journal]:
    """Those of these days. Their keys sort by when they were made, which spares reading all that came later."""
    spare = timedelta(days=1)
    return journals.filter(
        pk__gte=first_id_at(start_of(first) - spare),
        pk__lt=first_id_at(end_of(last) + spare),
        posted_at__gte=start_of(first),
        posted_at__lt=end_of(last),
    )


def _day(request: HttpRequest, name: str = "day") -> date | None:
    """The day that is asked for; None for what is no day, or none that leaves room for others."""
    try:
        day = date.fromisoformat(request.GET.get(name, ""))
    except ValueError:
        return None
    return day if 1970 < day.year < 9999 else None


def _cursor(request: HttpRequest) -> str | None:
    return request.GET.get("cursor")
