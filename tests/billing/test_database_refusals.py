"""What PostgreSQL refuses by itself, tried with raw SQL past all services."""

from __future__ import annotations

import uuid

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.migrations import RunSQL
from django.db.migrations.loader import MigrationLoader

from billing import ledger
from billing.accounts import AccountKey, open_accounts
from billing.models import Journal
from billing.pricing import draft_prices
from tests.billing.conftest import TERMS, at, converse

CASH = AccountKey("platform", "processor_clearing", "USD")
OWED = AccountKey("org:1", "merchant_wallet", "USD")
EUROS = AccountKey("org:1", "merchant_wallet", "EUR")

JOURNAL = """
INSERT INTO billing_journal (id, idempotency_key, kind, occurred_at, posted_at, memo, content_sha256)
VALUES (%s, %s, 'test', now(), now(), '', '')
"""
ENTRIES = "INSERT INTO billing_entry (journal_id, leg, account_id, amount)"


def refused(sql: str, *parameters, match: str) -> None:
    """The statement fails with the refusal's words, and nothing of it stays."""
    with pytest.raises(DatabaseError, match=match), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def journal_with(*legs: tuple[AccountKey, int]) -> tuple[str, list[object]]:
    """One statement that writes a journal with these entries."""
    accounts = open_accounts([account for account, _ in legs])
    journal_id = uuid.uuid4()
    values = ", ".join(f"(%s, {number}, %s, %s)" for number in range(1, len(legs) + 1))
    sql = f"WITH j AS ({JOURNAL}) {ENTRIES} VALUES {values}"
    parameters: list[object] = [journal_id, str(journal_id)]
    for account, amount in legs:
        parameters += [journal_id, accounts[account], amount]
    return sql, parameters


@pytest.fixture
def journal(db) -> Journal:
    return ledger.post(
        kind="sale",
        idempotency_key="sale:1",
        occurred_at=at(1),
        entries=[ledger.debit(CASH, 500), ledger.credit(OWED, 500)],
    )


@pytest.mark.parametrize("table", ["journal", "entry"])
@pytest.mark.parametrize("sql", ["DELETE FROM billing_{}", "UPDATE billing_{} SET xid = xid"])
def test_edits_of_the_books_are_refused(journal, table, sql):
    refused(sql.format(table), match="append-only")


@pytest.mark.parametrize("table", ["journal", "entry"])
def test_truncating_the_books_is_refused(journal, table):
    """The suite disables this trigger to empty the database; here it stands as it does in a store."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE billing_{table} ENABLE TRIGGER billing_{table}_no_truncate")
    refused(f"TRUNCATE billing_{table} CASCADE", match="append-only")


def test_an_unbalanced_journal_is_refused(db):
    sql, parameters = journal_with((CASH, 500), (OWED, -499))
    refused(sql, *parameters, match="unbalanced: .* off by 1 USD")


def test_currencies_balance_each_by_itself(db):
    sql, parameters = journal_with((CASH, 500), (EUROS, -500))
    refused(sql, *parameters, match="unbalanced")


def test_a_journal_of_one_entry_is_refused(db):
    sql, parameters = journal_with((CASH, 500))
    refused(sql, *parameters, match="unbalanced|fewer than two")


def test_an_entry_of_zero_is_refused(db):
    sql, parameters = journal_with((CASH, 0), (OWED, 0))
    refused(sql, *parameters, match="entry_moves_something")


def test_a_journal_without_entries_is_refused(db):
    refused(JOURNAL, uuid.uuid4(), "empty", match="has no entries")


@pytest.mark.django_db(transaction=True)
def test_a_posted_journal_takes_no_more_entries():
    journal = ledger.post(
        kind="sale",
        idempotency_key="sale:1",
        occurred_at=at(1),
        entries=[ledger.debit(CASH, 500), ledger.credit(OWED, 500)],
    )
    accounts = open_accounts([CASH, OWED])
    refused(
        f"{ENTRIES} VALUES (%s, 3, %s, 7), (%s, 4, %s, -7)",
        journal.pk, accounts[CASH], journal.pk, accounts[OWED],
        match="of another transaction",
    )  # fmt: skip
    refused(
        "INSERT INTO billing_entry (journal_id, leg, account_id, amount, xid)"
        " SELECT id, leg + 2, account, amount, j.xid FROM billing_journal j,"
        " (VALUES (1, %s, 7), (2, %s, -7)) AS e(leg, account, amount)",
        accounts[CASH], accounts[OWED],
        match="of another transaction",
    )  # fmt: skip


def test_an_accounts_identity_is_fixed_and_it_stays(journal):
    refused("UPDATE billing_account SET owner_ref = 'org:2'", match="accounts keep")
    refused("DELETE FROM billing_account", match="accounts keep")


@pytest.mark.parametrize(("journal_id", "account_id"), [(uuid.uuid4(), None), (None, 2**40)])
def test_entries_need_a_journal_and_accounts_that_exist(journal, journal_id, account_id):
    entry = journal.entries.first()
    refused(
        f"{ENTRIES} VALUES (%s, 8, %s, 7), (%s, 9, %s, -7)",
        journal_id or journal.pk, account_id or entry.account_id,
        journal_id or journal.pk, account_id or entry.account_id,
        match="does not exist",
    )  # fmt: skip


def test_entries_that_claim_another_transaction_are_refused(db):
    sql, parameters = journal_with((CASH, 500), (OWED, -500))
    sql = sql.replace("(journal_id, leg, account_id, amount)", "(journal_id, leg, account_id, amount, xid)")
    refused(
        sql.replace("(%s, 1, %s, %s), (%s, 2, %s, %s)", "(%s, 1, %s, %s, '3'), (%s, 2, %s, %s, '3')"),
        *parameters,
        match="claim another transaction",
    )


def test_a_journal_by_prices_that_may_go_is_refused(db):
    sql, parameters = journal_with((CASH, 500), (OWED, -500))
    sql = sql.replace("memo,", "memo, price_version_id,").replace("'', '')", "'', %s, '')")
    draft = draft_prices(name="a draft", terms=TERMS, by="test")
    for version in (draft.pk, uuid.uuid4()):
        refused(sql, *parameters[:2], version, *parameters[2:], match="does not exist or is a draft")


def test_usage_events_stay_and_status_rows_are_of_them(prices, budget):
    converse(prices)
    refused("DELETE FROM billing_usageevent", match="usage events stay")
    refused(
        "INSERT INTO billing_usageeventchange (event_id, status, at, by, reason)"
        " SELECT gen_random_uuid(), 'posted', now(), 'me', ''",
        match="usage event .* does not exist",
    )


def test_announced_prices_are_immutable(prices):
    for sql in (
        "UPDATE billing_priceversion SET name = 'other'",
        "UPDATE billing_priceversion SET effective_at = now()",
        "UPDATE billing_priceversion SET status = 'draft'",
        "DELETE FROM billing_priceversion",
        "UPDATE billing_pricerule SET amount_micros = 1 WHERE kind = 'ppcv'",
        "DELETE FROM billing_pricerule",
        "INSERT INTO billing_pricerule (version_id, kind, category, amount_micros)"
        " SELECT id, 'ppcv', 'toys', 1 FROM billing_priceversion",
    ):
        refused(sql, match="immutable")


def test_the_refusals_can_be_taken_back_and_put_up_again(db):
    """The migrations are reversible: each trigger that they make is dropped by its reverse."""
    graph = MigrationLoader(None).graph
    made = [
        (str(operation.sql), str(operation.reverse_sql))
        for key in graph.forwards_plan(graph.leaf_nodes("billing")[0])
        if key[0] == "billing"
        for operation in graph.nodes[key].operations
        if isinstance(operation, RunSQL) and operation.reverse_sql != RunSQL.noop
    ]
    assert len(made) >= 6
    with connection.cursor() as cursor:
        for _, undo in reversed(made):
            cursor.execute(undo)
        for do, _ in made:
            cursor.execute(do)
