"""The checks of a batch look each journal up once, by its index; foreign keys that were checked row by row join them."""

from __future__ import annotations

from importlib import import_module

import django.db.models.deletion
from django.db import migrations, models

_BEFORE = import_module("billing.migrations.0002_database_refusals")

# A subquery in the select list or in a condition of its own is never made a join, so that no plan that was made while
# the tables were small, and kept by the session, reads all of them.
CHECK_BATCHES = """
CREATE OR REPLACE FUNCTION billing_check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE culprit record;
BEGIN
    SELECT * INTO culprit FROM (
        SELECT a.journal_id, (SELECT j.xid FROM billing_journal j WHERE j.id = a.journal_id) AS xid
        FROM (SELECT DISTINCT journal_id FROM added) a
    ) AS of_journals WHERE xid IS DISTINCT FROM pg_current_xact_id() LIMIT 1;
    IF culprit.xid IS NOT NULL THEN
        RAISE EXCEPTION 'journal % is of another transaction and closed', culprit.journal_id
            USING ERRCODE = 'restrict_violation';
    ELSIF culprit.journal_id IS NOT NULL THEN
        RAISE EXCEPTION 'journal % does not exist', culprit.journal_id USING ERRCODE = 'foreign_key_violation';
    END IF;
    -- An entry moves something, so one that is alone in its currency does not balance.
    SELECT a.journal_id, c.currency, sum(a.amount) AS amount, bool_and(a.xid = pg_current_xact_id()) AS honest
        INTO culprit FROM added a LEFT JOIN billing_account c ON c.id = a.account_id
        GROUP BY a.journal_id, c.currency
        HAVING sum(a.amount) <> 0 OR c.currency IS NULL OR NOT bool_and(a.xid = pg_current_xact_id()) LIMIT 1;
    IF culprit.journal_id IS NULL THEN
        RETURN NULL;
    ELSIF culprit.currency IS NULL THEN
        RAISE EXCEPTION 'an account of journal % does not exist', culprit.journal_id
            USING ERRCODE = 'foreign_key_violation';
    ELSIF NOT culprit.honest THEN
        RAISE EXCEPTION 'entries of journal % claim another transaction', culprit.journal_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RAISE EXCEPTION 'unbalanced: journal % is off by % %', culprit.journal_id, culprit.amount, culprit.currency
        USING ERRCODE = 'check_violation';
END $$;

CREATE OR REPLACE FUNCTION billing_check_journals() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE culprit text;
BEGIN
    SELECT a.id::text INTO culprit FROM added a
        WHERE a.xid <> pg_current_xact_id()
           OR (SELECT e.leg FROM billing_entry e WHERE e.journal_id = a.id LIMIT 1) IS NULL LIMIT 1;
    IF culprit IS NOT NULL THEN
        RAISE EXCEPTION 'journal % has no entries, or claims another transaction', culprit
            USING ERRCODE = 'check_violation';
    END IF;
    -- Prices that are no draft any more can't be deleted.
    SELECT price_version_id::text INTO culprit
        FROM (SELECT DISTINCT price_version_id FROM added WHERE price_version_id IS NOT NULL) AS a
        WHERE NOT EXISTS (SELECT FROM billing_priceversion v WHERE v.id = price_version_id AND v.status <> 'draft') LIMIT 1;
    IF culprit IS NOT NULL THEN
        RAISE EXCEPTION 'price version % does not exist or is a draft', culprit USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
"""

KEEP_EVENTS = """
CREATE FUNCTION billing_keep_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'usage events stay: reject or reverse one' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER billing_usageevent_kept BEFORE DELETE ON billing_usageevent
    FOR EACH STATEMENT EXECUTE FUNCTION billing_keep_event();

CREATE FUNCTION billing_check_changes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE culprit text;
BEGIN
    SELECT a.event_id::text INTO culprit FROM added a
        WHERE (SELECT u.id FROM billing_usageevent u WHERE u.id = a.event_id) IS NULL LIMIT 1;
    IF culprit IS NOT NULL THEN
        RAISE EXCEPTION 'usage event % does not exist', culprit USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER billing_changes_of_events AFTER INSERT ON billing_usageeventchange
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION billing_check_changes();
"""
RELEASE_EVENTS = """
DROP TRIGGER billing_changes_of_events ON billing_usageeventchange;
DROP FUNCTION billing_check_changes();
DROP TRIGGER billing_usageevent_kept ON billing_usageevent;
DROP FUNCTION billing_keep_event();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0014_repayments")]

    operations = [
        migrations.AlterField(
            model_name="journal",
            name="content_sha256",
            field=models.BinaryField(
                help_text="of kind, price version, reverses and entries: same key, same content", max_length=32
            ),
        ),
        migrations.AlterField(
            model_name="journal",
            name="price_version",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="journals",
                to="billing.priceversion",
            ),
        ),
        migrations.AlterField(
            model_name="usageeventchange",
            name="event",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="changes",
                to="billing.usageevent",
            ),
        ),
        migrations.RunSQL(CHECK_BATCHES, _BEFORE.ALLOW_UNBALANCED + _BEFORE.REFUSE_UNBALANCED),
        migrations.RunSQL(KEEP_EVENTS, RELEASE_EVENTS),
    ]
