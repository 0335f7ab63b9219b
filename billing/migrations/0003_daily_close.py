"""The daily close and totals by day; what PostgreSQL refuses of a close, and the totals of what is rolled up already."""

from __future__ import annotations

import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models

import agentstore.kit.clock
import billing.models.fields

REFUSE = """
CREATE TRIGGER billing_dailyclose_append_only BEFORE UPDATE OR DELETE ON billing_dailyclose
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_edit();
CREATE TRIGGER billing_dailyclose_no_truncate BEFORE TRUNCATE ON billing_dailyclose
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_edit();
CREATE FUNCTION billing_check_close() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.previous_id IS DISTINCT FROM (SELECT max(day) FROM billing_dailyclose)
        OR (NEW.previous_id IS NOT NULL AND NEW.day <> NEW.previous_id + 1)
        OR octet_length(NEW.digest) <> 32
        OR NEW.horizon > pg_snapshot_xmin(pg_current_snapshot())
    THEN
        RAISE EXCEPTION 'the close of % does not follow the last one', NEW.day USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER billing_dailyclose_follows BEFORE INSERT ON billing_dailyclose
    FOR EACH ROW EXECUTE FUNCTION billing_check_close();
"""
ALLOW = """
DROP TRIGGER billing_dailyclose_follows ON billing_dailyclose;
DROP FUNCTION billing_check_close();
DROP TRIGGER billing_dailyclose_no_truncate ON billing_dailyclose;
DROP TRIGGER billing_dailyclose_append_only ON billing_dailyclose;
"""
CATCH_UP = """
INSERT INTO billing_daytotal (day, account_kind, journal_kind, currency, debit_micros, credit_micros, entries)
SELECT (j.posted_at AT TIME ZONE 'UTC')::date, a.kind, j.kind, a.currency,
       coalesce(sum(e.amount) FILTER (WHERE e.amount > 0), 0), -coalesce(sum(e.amount) FILTER (WHERE e.amount < 0), 0),
       count(*)
FROM billing_entry e JOIN billing_journal j ON j.id = e.journal_id JOIN billing_account a ON a.id = e.account_id
WHERE e.xid < (SELECT xid FROM billing_rollupmark WHERE id = 1) GROUP BY 1, 2, 3, 4
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0002_database_refusals")]

    operations = [
        migrations.CreateModel(
            name="DailyClose",
            fields=[
                ("day", models.DateField(help_text="in UTC", primary_key=True, serialize=False)),
                (
                    "previous",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="following",
                        to="billing.dailyclose",
                    ),
                ),
                ("horizon", billing.models.fields.TransactionIdField()),
                ("journals", models.BigIntegerField()),
                ("digest", models.BinaryField(help_text="SHA-256", max_length=32)),
                ("closed_at", models.DateTimeField(default=agentstore.kit.clock.now)),
            ],
            options={"ordering": ["-day"]},
        ),
        migrations.CreateModel(
            name="DayTotal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("account_kind", models.CharField(help_text="a value of Account.Kind", max_length=24)),
                ("journal_kind", models.CharField(max_length=32)),
                ("currency", models.CharField(max_length=3)),
                ("debit_micros", models.BigIntegerField(default=0)),
                ("credit_micros", models.BigIntegerField(default=0, help_text="as a positive number")),
                ("entries", models.BigIntegerField(default=0)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("day", "account_kind", "journal_kind", "currency"), name="one_total_a_day"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="journal",
            index=django.contrib.postgres.indexes.BrinIndex(
                autosummarize=True, fields=["posted_at"], name="journal_by_day"
            ),
        ),
        migrations.RunSQL(CATCH_UP, migrations.RunSQL.noop),
        migrations.RunSQL(REFUSE, ALLOW),
    ]
