"""The operator's pages of reconciled days and incidents; for everybody else they do not exist."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.urls import reverse

from agentstore.kit.clock import now
from billing.models import Incident, IncidentLine, ReconciledBalance, Reconciliation
from billing.reconciliation import state
from billing.reconciliation.findings import MOST_LINES, Difference, Findings
from billing.reconciliation.incidents import record_findings, resolve_incident
from tests.billing.test_pages import business, text
from tests.look.axe import session_cookies, walk

__all__ = ["business"]

DAY = date(2026, 3, 10)
LIST = "billing:reconciliation"


def found(*lines: Difference) -> Findings:
    findings = Findings(compared=7)
    for line in lines:
        findings.add(line)
    return findings


@pytest.fixture
def incident(business) -> Incident:
    """One with a line of each look, and the day that it is of."""
    row = Reconciliation.objects.create(
        day=DAY, status="differences", counts={"processor": {"compared": 7, "in_flight": 2, "different": 3}}
    )
    ReconciledBalance.objects.create(
        reconciliation=row, currency="USD", processor_micros=129_000_000, books_micros=100_000_000
    )
    from billing.models import Journal, UsageEvent

    journal, event = Journal.objects.get(kind="ppcv"), UsageEvent.objects.get(kind="ppcv")
    made = record_findings(
        kind="processor",
        day=DAY,
        findings=found(
            Difference("not_booked", "payment:pi_1", "", "USD", 29_000_000, None, processor_ref="ch_1"),
            Difference("fee", "payment:pi_2", "", "USD", 3_000_000, 2_000_000, journal_id=journal.pk),
            Difference("no_journal", "=cmd()", "+detail", "USD", 1, None, event_id=event.pk),
        ),
        by="reconciliation",
    )
    assert made is not None
    return made


def addresses(incident: Incident) -> list[str]:
    return [
        reverse(LIST),
        reverse("billing:incident", args=[incident.pk]),
        reverse("billing:incident_csv", args=[incident.pk]),
    ]


def test_before_the_first_day(client, olivia):
    client.force_login(olivia)
    assert state.latest() is None
    assert "No day is reconciled yet" in text(client, reverse(LIST))


def test_the_operator_sees_days_and_what_is_open(client, olivia, incident):
    client.force_login(olivia)
    page = text(client, reverse(LIST))
    for words in ("10 Mar 2026", "Differences", "$129.00", "$100.00", "Run again", "and 2 more"):
        assert words in page
    assert state.open_incidents().get() == incident
    for number in range(35):
        Reconciliation.objects.create(day=DAY + timedelta(days=1 + number), status="matched")
    page = text(client, reverse(LIST))
    assert "Page 1 of 2" in page
    assert "10 Mar 2026" in text(client, f"{reverse(LIST)}?page=2")


def test_an_incident_leads_to_journal_event_and_processor(client, olivia, incident):
    client.force_login(olivia)
    page = text(client, reverse("billing:incident", args=[incident.pk]))
    line = incident.lines.get(problem="fee")
    assert reverse("billing:journal", args=[line.journal_id]) in page
    for words in ("At the processor, not in the books", "ch_1", "$29.00", "payment:pi_2"):
        assert words in page
    assert reverse("billing:fee", args=[incident.lines.get(problem="no_journal").event_id]) in page


def test_what_is_gone_comes_after_what_is_open(client, olivia, incident):
    incident.lines.filter(problem="not_booked").update(gone_at=now())
    client.force_login(olivia)
    page = text(client, reverse("billing:incident", args=[incident.pk]))
    assert page.index("payment:pi_2") < page.index("ch_1"), "the processor's name of what is gone"


def test_its_lines_as_a_file_that_no_spreadsheet_runs(client, olivia, incident):
    client.force_login(olivia)
    answer = client.get(reverse("billing:incident_csv", args=[incident.pk]))
    body = b"".join(answer.streaming_content).decode()
    assert 'filename="incident-2026-03-10-processor.csv"' in answer["Content-Disposition"]
    rows = body.splitlines()
    assert rows[0].startswith("day,check,problem,reference,detail,currency,expected,found,journal")
    assert "2026-03-10,processor,no_journal,'=cmd(),'+detail,USD,0.000001" in body
    assert len(rows) == 4


def test_the_operator_resolves_it_with_a_reason(client, olivia, incident):
    client.force_login(olivia)
    url = reverse("billing:incident", args=[incident.pk])
    assert client.post(url, {"reason": ""}).status_code == 422
    assert client.post(url, {"reason": "the bank's own test"}).status_code == 302
    page = text(client, url)
    assert "the bank&#x27;s own test" in page
    assert f"user:{olivia.pk}" in page
    assert client.post(url, {"reason": "again"}).status_code == 409
    assert Reconciliation.objects.get().status == "matched"


def test_the_operator_has_a_day_made_again(client, olivia, incident, django_capture_on_commit_callbacks):
    client.force_login(olivia)
    with django_capture_on_commit_callbacks() as asked:
        answer = client.post(reverse("billing:reconcile_again", args=["2026-03-10"]))
    assert answer.status_code == 302
    assert len(asked) == 1
    assert Reconciliation.objects.get().retry_at is not None, "the beat finds it where no worker got the task"
    for day in ("2026-03-11", "nonsense"):
        assert client.post(reverse("billing:reconcile_again", args=[day])).status_code == 404


def test_strangers_merchants_and_developers_are_refused(client, charlie, mia, alice, incident):
    again = reverse("billing:reconcile_again", args=["2026-03-10"])
    assert client.get(reverse(LIST)).status_code == 302, "the sign-in form"
    for person in (charlie, mia, alice):
        client.force_login(person)
        for url in addresses(incident):
            text(client, url, 404)
        assert client.post(again).status_code == 404
        assert client.post(addresses(incident)[1], {"reason": "mine"}).status_code == 404
    assert Incident.objects.get().status == "open"


def test_of_very_many_lines_only_the_number_is_kept(db):
    many = found(*(Difference("not_booked", f"payment:{number}") for number in range(MOST_LINES + 5)))
    incident = record_findings(kind="processor", day=DAY, findings=many, by="test")
    assert incident is not None
    assert IncidentLine.objects.count() == MOST_LINES
    assert f"and {MOST_LINES + 4} more" in incident.title


def test_of_very_many_lines_those_that_are_not_kept_are_neither_gone_nor_new(db):
    many = [Difference("not_booked", f"payment:{number}") for number in range(MOST_LINES + 5)]
    row = Reconciliation.objects.create(day=DAY)

    def run(*lines: Difference) -> Incident:
        findings = found(*lines)
        incident = record_findings(kind="processor", day=DAY, findings=findings, by="test")
        assert incident is not None
        row.counts = {"processor": findings.counts()}
        row.save()
        return incident

    resolve_incident(incident_id=run(*many).pk, by="olivia", reason="known")
    assert run(*reversed(many)).status == "resolved"
    assert not IncidentLine.objects.exclude(gone_at=None).exists(), "in another order"
    assert run(*many[1:]).status == "resolved", "one went, and made room for one that was there before"
    assert [line.reference for line in IncidentLine.objects.exclude(gone_at=None)] == ["payment:0"]
    assert IncidentLine.objects.filter(gone_at=None).count() == MOST_LINES
    assert run(*many).status == "open", "it is back"


@pytest.mark.e2e
@pytest.mark.django_db(transaction=True)
def test_the_pages_are_clean(browser, incident, live_server, client, olivia):
    Reconciliation.objects.create(
        day=DAY - timedelta(days=1), status="waiting", last_error="away: not answering"
    )
    resolved = record_findings(
        kind="events", day=DAY, findings=found(Difference("day_sum", "ppcv USD", "", "USD", 5, 6)), by="test"
    )
    assert resolved is not None
    record_findings(kind="events", day=DAY, findings=found(), by="test")
    client.force_login(olivia)
    pages = [*addresses(incident)[:2], reverse("billing:incident", args=[resolved.pk])]
    walk(browser, live_server.url, pages, cookies=session_cookies(client, live_server.url))
