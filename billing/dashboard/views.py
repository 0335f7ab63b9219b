"""The operator's pages: the dashboard, the usage behind it, its files."""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from agentstore.identity.access import require_operator
from agentstore.kit.errors import NotFound
from agentstore.kit.money import Money
from agentstore.kit.tables import stream_csv
from billing.balances import trial_balance
from billing.dashboard.exports import EXPORTS
from billing.dashboard.income import MAIN, Income, read_income
from billing.dashboard.open_items import (
    balance_of,
    holds_in_force,
    read_disputes,
    read_held,
    read_payouts,
    read_receivables,
    refused_payouts,
)
from billing.dashboard.spans import LABELS, Span, read_span
from billing.models import Account, SubjectTotal, UsageEvent, WebhookEvent
from billing.names import names_of
from billing.paging import newest
from billing.reconciliation import state
from billing.rollups.subjects import SubjectSum, largest_subjects
from billing.statement_words import words_of

_TOPS = {
    SubjectTotal.Role.MERCHANT: "Merchants",
    SubjectTotal.Role.DEVELOPER: "Developers",
    SubjectTotal.Role.AGENT: "Agents",
}
_SHOWN = 8
_INCIDENTS = 5
_kinds = Account.Kind
_STANDING = (
    ("Owed to merchants", _kinds.MERCHANT_WALLET.value, -1),
    ("Paid in by merchants", _kinds.MERCHANT_PREPAID.value, -1),
    ("Developers, pending", _kinds.DEVELOPER_PENDING.value, -1),
    ("Developers, in reserve", _kinds.DEVELOPER_RESERVE.value, -1),
    ("At the processor", _kinds.PROCESSOR_CLEARING.value, 1),
    ("Sent to your bank", _kinds.OPERATOR_BANK.value, 1),
    ("Tax to be passed on", _kinds.SALES_TAX.value, -1),
)
_TAKEN_BACK = {
    "refund": "Refunds to shoppers",
    "dispute": "Payments that shoppers' banks took back",
    "invoice_disputed": "Invoices whose payment merchants' banks took back",
    "top_up_disputed": "Top-ups that merchants' banks took back",
}
_FILES = {
    "totals": "Totals by day",
    "subjects": "Merchants, developers, agents",
    "receivables": "Open invoices",
    "held": "Held fees",
    "payouts": "Payouts",
}


@require_GET
def dashboard(request: HttpRequest) -> HttpResponse:
    """/operator/billing/: `period` or `first` and `last`, `by` day or month, `currency`."""
    require_operator(request.user)
    span = read_span(request.GET.dict())
    lines = trial_balance()
    currencies = sorted({line.currency for line in lines} | {settings.STORE_CURRENCY})
    currency = _currency(request)
    books = {line.kind: line for line in lines if line.currency == currency}
    income, before = (read_income(currency=currency, span=it) for it in (span, span.before))
    return render(
        request,
        "operator/billing.html",
        {
            "span": span,
            "spans": LABELS.items(),
            "currency": currency,
            "currencies": currencies if len(currencies) > 1 else [],
            "exports": _FILES.items(),
            **_figures(income, before),
            "receivables": read_receivables(currency=currency, books=books),
            "held": read_held(currency=currency),
            "payouts": read_payouts(currency=currency, span=span, books=books),
            "holds": holds_in_force(),
            "disputes": read_disputes(currency=currency, span=span),
            "standing": [
                (words, balance_of(books, kind, currency) * sign, kind) for words, kind, sign in _STANDING
            ],
            "tops": _tops(span, currency),
            "reconciled": state.latest(),
            "incidents": state.open_incidents()[:_INCIDENTS],
            "incident_count": state.open_incidents().count(),
            "unhandled_webhooks": WebhookEvent.objects.filter(handled_at=None).count(),
            "refused_payouts": refused_payouts(span),
        },
    )


def _figures(income: Income, before: Income) -> dict[str, object]:
    return {
        "income": income,
        "headlines": _headlines(income, before),
        "rows": _rows(income),
        "costs": [
            (cost.name, cost.account_kind, income.money(-cost.total),
             [(words_of(kind), kind, income.money(-micros))
              for kind, micros in cost.parts.items()])
            for cost in income.costs
        ],
        "margin": income.money(income.margin),
        "labels": [income.span.name_of(start) for start in income.steps],
        "series": [
            {"name": name, "values": [step[name] for step in income.steps.values()]}
            for name in [*MAIN, "Margin"]
        ],
        "taken_back": [
            (words, kind, income.money(income.taken_back[kind][0]), income.taken_back[kind][1])
            for kind, words in _TAKEN_BACK.items()
        ],
    }  # fmt: skip


def _currency(request: HttpRequest) -> str:
    asked = request.GET.get("currency", "")
    return asked if len(asked) == 3 and asked.isalpha() and asked.isupper() else str(settings.STORE_CURRENCY)


def _headlines(income: Income, before: Income) -> list[tuple[str, Money, str, bool | None]]:
    """Label, amount, change against the span before, and whether that is good (None: neither)."""
    rows = (
        ("Fees charged", income.fees, before.fees, True),
        ("Developers’ share", income.share, before.share, False),
        ("The store’s part", income.kept, before.kept, True),
        ("Margin", income.margin, before.margin, True),
    )
    found = []
    for label, now_is, was, judged in rows:
        change = income.money(now_is - was)
        sign = "+" if change.micros > 0 else ""
        found.append((label, income.money(now_is), f"{sign}{change}", now_is >= was if judged else None))
    return found


def _rows(income: Income) -> list[tuple[object, list[object]]]:
    """The sources with their kinds of journal, each with its amounts for reading."""
    return [
        (
            (it.name, income.money(it.fees), income.money(it.share), income.money(it.kept)),
            [
                (part.words, part.kind, part.journals, income.money(part.fees), income.money(part.share),
                 income.money(part.kept))
                for part in it.parts
            ],
        )
        for it in income.sources
    ]  # fmt: skip


def _tops(span: Span, currency: str) -> list[tuple[str, str, list[tuple[str, str, int, Money, Money]]]]:
    """For each role its title and who brought most: name, where its fees are listed, conversations, fees, kept."""
    found = {
        role: largest_subjects(role=role, currency=currency, first=span.first, last=span.last, limit=_SHOWN)
        for role in _TOPS
    }
    names = names_of(it.ref for sums in found.values() for it in sums if it.ref)
    return [
        (
            title,
            role.value,
            [
                (names.get(it.ref, "Not known"), _usage_of(role, it), it.conversations,
                 Money(it.fee_micros, currency).rounded, Money(it.kept_micros, currency).rounded)
                for it in found[role]
            ],
        )
        for role, title in _TOPS.items()
    ]  # fmt: skip


def _usage_of(role: str, it: SubjectSum) -> str:
    """Where a subject's fees are listed; an agent's among its studio's, which have an index."""
    if not it.ref:
        return ""
    asked = {role: it.ref} if role != "agent" else {"developer": it.developer_ref, "agent": it.ref}
    return f"{reverse('billing:usage')}?{urlencode(asked)}"


@require_GET
def usage(request: HttpRequest) -> HttpResponse:
    """/operator/billing/usage/: each fee, the newest first; by `status`, `kind`, `merchant`, `developer`, `agent`."""
    require_operator(request.user)
    events = UsageEvent.objects.all()
    chosen = {name: request.GET.get(name, "")[:64] for name in ("merchant", "developer", "agent")}
    for name, ref in chosen.items():
        if ref:
            events = events.filter(**{f"{name}_ref": ref})
    status, kind = request.GET.get("status", ""), request.GET.get("kind", "")
    if status in UsageEvent.Status.values:
        events = events.filter(status=status)
    if kind in UsageEvent.Kind.values:
        events = events.filter(kind=kind)
    # Those of one owner have an index by when they happened, all together one by their keys.
    by = "occurred_at" if chosen["merchant"] or chosen["developer"] else ""
    page = newest(events, by=by, cursor=request.GET.get("cursor"))
    refs = [ref for it in page.items for ref in (it.merchant_ref, it.developer_ref, it.agent_ref)]
    names = names_of(ref for ref in [*refs, *chosen.values()] if ref)
    return render(
        request,
        "operator/usage.html",
        {
            "events": [
                (it, names[it.merchant_ref], names[it.developer_ref], names.get(it.agent_ref, ""))
                for it in page.items
            ],
            "next_cursor": page.next_cursor,
            "status": status,
            "statuses": UsageEvent.Status.choices,
            "kind": kind,
            "kinds": UsageEvent.Kind.choices,
            "chosen": [(name, ref, names[ref]) for name, ref in chosen.items() if ref],
        },
    )


@require_GET
def export(request: HttpRequest, name: str) -> StreamingHttpResponse:
    """/operator/billing/export/<name>.csv, for the span and currency of the dashboard. Raises NotFound."""
    require_operator(request.user)
    if name not in EXPORTS:
        raise NotFound("There is no such file.", hint=f"There are {', '.join(EXPORTS)}.")
    span, currency = read_span(request.GET.dict()), _currency(request)
    header, read = EXPORTS[name](span, currency)
    filename = f"{name}-{currency.lower()}-{span.first}-{span.last}.csv"
    return stream_csv(request, filename=filename, header=header, read=read)
