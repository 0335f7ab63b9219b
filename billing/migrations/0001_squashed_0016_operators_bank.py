"""Ledger, prices, usage, statements, payouts and reconciliation, and what the database itself refuses, whoever asks."""

from __future__ import annotations

import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.lookups
from django.db import migrations, models

import agentstore.kit.clock
import agentstore.kit.ids
import billing.models.fields
from agentstore.kit.migrations import CreateModels

REFUSE_EDITS = """
CREATE FUNCTION billing_refuse_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % refused: the ledger is append-only; post a new journal', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER billing_journal_append_only BEFORE UPDATE OR DELETE ON billing_journal
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_edit();
CREATE TRIGGER billing_journal_no_truncate BEFORE TRUNCATE ON billing_journal
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_edit();
CREATE TRIGGER billing_entry_append_only BEFORE UPDATE OR DELETE ON billing_entry
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_edit();
CREATE TRIGGER billing_entry_no_truncate BEFORE TRUNCATE ON billing_entry
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_edit();
"""
ALLOW_EDITS = """
DROP TRIGGER billing_journal_append_only ON billing_journal;
DROP TRIGGER billing_journal_no_truncate ON billing_journal;
DROP TRIGGER billing_entry_append_only ON billing_entry;
DROP TRIGGER billing_entry_no_truncate ON billing_entry;
DROP FUNCTION billing_refuse_edit();
"""

# Statement-level with transition tables: one check per batch, not one per row. A journal and its entries
# come in one statement (a writing CTE), so both checks see the whole journal at the statement's end.
# A subquery in the select list or in a condition of its own is never made a join, so that no plan that was made while
# the tables were small, and kept by the session, reads all of them.
REFUSE_UNBALANCED = """
CREATE FUNCTION billing_check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER billing_entries_balance AFTER INSERT ON billing_entry
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION billing_check_entries();

CREATE FUNCTION billing_check_journals() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER billing_journals_have_entries AFTER INSERT ON billing_journal
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION billing_check_journals();
"""
ALLOW_UNBALANCED = """
DROP TRIGGER billing_entries_balance ON billing_entry;
DROP FUNCTION billing_check_entries();
DROP TRIGGER billing_journals_have_entries ON billing_journal;
DROP FUNCTION billing_check_journals();
"""

# An account keeps its owner, kind and currency and is never deleted: that would rewrite history.
KEEP_ACCOUNTS = """
CREATE FUNCTION billing_keep_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'accounts keep their owner, kind and currency, and stay' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER billing_account_kept BEFORE DELETE ON billing_account
    FOR EACH STATEMENT EXECUTE FUNCTION billing_keep_account();
CREATE TRIGGER billing_account_no_truncate BEFORE TRUNCATE ON billing_account
    FOR EACH STATEMENT EXECUTE FUNCTION billing_keep_account();
CREATE TRIGGER billing_account_fixed BEFORE UPDATE OF id, owner_ref, kind, currency ON billing_account
    FOR EACH ROW EXECUTE FUNCTION billing_keep_account();
"""
RELEASE_ACCOUNTS = """
DROP TRIGGER billing_account_fixed ON billing_account;
DROP TRIGGER billing_account_kept ON billing_account;
DROP TRIGGER billing_account_no_truncate ON billing_account;
DROP FUNCTION billing_keep_account();
"""

KEEP_PRICES = """
CREATE FUNCTION billing_keep_price_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status = 'draft' THEN
        RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    IF TG_OP = 'DELETE'
        OR (OLD.id, OLD.name, OLD.currency, OLD.created_at) IS DISTINCT FROM
           (NEW.id, NEW.name, NEW.currency, NEW.created_at)
        OR (OLD.announced_at, OLD.effective_at) IS DISTINCT FROM (NEW.announced_at, NEW.effective_at)
        OR (OLD.status, NEW.status) NOT IN (
            ('announced', 'announced'), ('announced', 'in_force'), ('announced', 'withdrawn'),
            ('in_force', 'in_force'), ('in_force', 'superseded'), ('superseded', 'superseded'))
    THEN
        RAISE EXCEPTION 'price version % is % and immutable', OLD.name, OLD.status
            USING ERRCODE = 'restrict_violation', HINT = 'Draft a new version.';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER billing_price_version_immutable BEFORE UPDATE OR DELETE ON billing_priceversion
    FOR EACH ROW EXECUTE FUNCTION billing_keep_price_version();

CREATE FUNCTION billing_keep_price_rule() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE culprit text;
BEGIN
    -- The lock comes first: a version that is being announced right now counts as announced.
    PERFORM FROM billing_priceversion WHERE id IN (OLD.version_id, NEW.version_id) FOR SHARE;
    SELECT v.name INTO culprit FROM billing_priceversion v
        WHERE v.id IN (OLD.version_id, NEW.version_id) AND v.status <> 'draft' LIMIT 1;
    IF culprit IS NOT NULL THEN
        RAISE EXCEPTION 'the fees of price version % are immutable', culprit
            USING ERRCODE = 'restrict_violation', HINT = 'Draft a new version.';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER billing_price_rule_immutable BEFORE INSERT OR UPDATE OR DELETE ON billing_pricerule
    FOR EACH ROW EXECUTE FUNCTION billing_keep_price_rule();
"""
RELEASE_PRICES = """
DROP TRIGGER billing_price_version_immutable ON billing_priceversion;
DROP FUNCTION billing_keep_price_version();
DROP TRIGGER billing_price_rule_immutable ON billing_pricerule;
DROP FUNCTION billing_keep_price_rule();
"""

REFUSE_OTHER_CLOSES = """
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
ALLOW_OTHER_CLOSES = """
DROP TRIGGER billing_dailyclose_follows ON billing_dailyclose;
DROP FUNCTION billing_check_close();
DROP TRIGGER billing_dailyclose_no_truncate ON billing_dailyclose;
DROP TRIGGER billing_dailyclose_append_only ON billing_dailyclose;
"""

# What was stated stays as it was stated.
KEEP_STATEMENTS = """
CREATE TRIGGER billing_statementline_append_only BEFORE UPDATE OR DELETE ON billing_statementline
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_edit();
CREATE TRIGGER billing_statementbalance_append_only BEFORE UPDATE OR DELETE ON billing_statementbalance
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_edit();
CREATE TRIGGER billing_statementperiod_append_only BEFORE UPDATE OR DELETE ON billing_statementperiod
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_edit();
"""
RELEASE_STATEMENTS = """
DROP TRIGGER billing_statementline_append_only ON billing_statementline;
DROP TRIGGER billing_statementbalance_append_only ON billing_statementbalance;
DROP TRIGGER billing_statementperiod_append_only ON billing_statementperiod;
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

    replaces = [
        ('billing', '0001_ledger_prices_and_usage'),
        ('billing', '0002_database_refusals'),
        ('billing', '0003_daily_close'),
        ('billing', '0004_statements_and_invoices'),
        ('billing', '0005_price_notices'),
        ('billing', '0006_flags_caps_and_balances'),
        ('billing', '0007_earnings_and_payouts'),
        ('billing', '0008_reconciliation'),
        ('billing', '0009_totals_by_subject'),
        ('billing', '0010_disputed_invoices'),
        ('billing', '0011_tax_by_merchant'),
        ('billing', '0012_totals_of_before'),
        ('billing', '0013_what_remains_of_invoices'),
        ('billing', '0014_repayments'),
        ('billing', '0015_checks_by_statement'),
        ('billing', '0016_operators_bank'),
    ]

    initial = True

    dependencies = [
    ]

    operations = [
        CreateModels(
            models=[
                migrations.CreateModel(
                    name='Account',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('owner_ref', models.CharField(max_length=64)),
                        ('kind', models.CharField(choices=[('merchant_wallet', 'Merchant wallet'), ('merchant_receivable', 'Merchant receivable'), ('merchant_prepaid', 'Merchant prepaid balance'), ('platform_revenue', 'Platform revenue'), ('developer_pending', 'Developer share, pending'), ('developer_available', 'Developer share, available'), ('developer_reserve', 'Developer share, in reserve'), ('processor_clearing', 'Processor clearing'), ('processor_fees', 'Processor fees'), ('operator_bank', "Operator's bank account"), ('dispute_loss', 'Dispute loss'), ('sales_tax', 'Sales tax'), ('rounding', 'Rounding')], max_length=24)),
                        ('currency', models.CharField(max_length=3)),
                        ('opened_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                    ],
                    options={
                        'indexes': [models.Index(fields=['kind', 'currency'], name='billing_acc_kind_b72916_idx')],
                        'constraints': [models.UniqueConstraint(fields=('owner_ref', 'kind', 'currency'), name='one_account_of_a_kind')],
                    },
                ),
                migrations.CreateModel(
                    name='BalanceRollup',
                    fields=[
                        ('account', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='rollup', serialize=False, to='billing.account')),
                        ('debit_micros', models.BigIntegerField(default=0)),
                        ('credit_micros', models.BigIntegerField(default=0, help_text='as a positive number')),
                        ('entries', models.BigIntegerField(default=0)),
                    ],
                ),
                migrations.CreateModel(
                    name='BillingParty',
                    fields=[
                        ('owner_ref', models.CharField(max_length=64, primary_key=True, serialize=False)),
                        ('processor_ref', models.CharField(blank=True, max_length=255)),
                        ('name', models.CharField(max_length=200)),
                        ('email', models.EmailField(max_length=254)),
                        ('country', models.CharField(help_text='ISO 3166', max_length=2)),
                        ('state', models.CharField(blank=True, max_length=40)),
                        ('postal_code', models.CharField(blank=True, max_length=20)),
                        ('city', models.CharField(blank=True, max_length=100)),
                        ('line1', models.CharField(blank=True, max_length=200, verbose_name='address')),
                        ('tax_exempt', models.CharField(choices=[('none', 'Taxed'), ('reverse', 'Pays the tax itself (reverse charge)'), ('exempt', 'Exempt')], default='none', max_length=8)),
                        ('changed_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                    ],
                ),
                migrations.CreateModel(
                    name='DailyClose',
                    fields=[
                        ('day', models.DateField(help_text='in UTC', primary_key=True, serialize=False)),
                        ('previous', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='following', to='billing.dailyclose')),
                        ('horizon', billing.models.fields.TransactionIdField()),
                        ('journals', models.BigIntegerField()),
                        ('digest', models.BinaryField(help_text='SHA-256', max_length=32)),
                        ('closed_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                    ],
                    options={
                        'ordering': ['-day'],
                    },
                ),
                migrations.CreateModel(
                    name='DayTotal',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('day', models.DateField()),
                        ('account_kind', models.CharField(help_text='a value of Account.Kind', max_length=24)),
                        ('journal_kind', models.CharField(max_length=32)),
                        ('currency', models.CharField(max_length=3)),
                        ('debit_micros', models.BigIntegerField(default=0)),
                        ('credit_micros', models.BigIntegerField(default=0, help_text='as a positive number')),
                        ('entries', models.BigIntegerField(default=0)),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('day', 'account_kind', 'journal_kind', 'currency'), name='one_total_a_day')],
                    },
                ),
                migrations.CreateModel(
                    name='Incident',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('kind', models.CharField(choices=[('processor', 'Processor against ledger'), ('balance', "Processor's balance"), ('events', 'Ledger against events'), ('statements', 'Statements against events'), ('conversations', 'Events against conversations')], max_length=16)),
                        ('day', models.DateField(help_text='in UTC')),
                        ('status', models.CharField(choices=[('open', 'Open'), ('resolved', 'Resolved')], default='open', max_length=8)),
                        ('title', models.CharField(max_length=200)),
                        ('opened_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('resolved_at', models.DateTimeField(blank=True, null=True)),
                        ('resolved_by', models.CharField(blank=True, max_length=64)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                    ],
                    options={
                        'ordering': ['-day', 'kind'],
                        'indexes': [models.Index(condition=models.Q(('status', 'open')), fields=['-day'], name='incidents_open')],
                        'constraints': [models.UniqueConstraint(fields=('day', 'kind'), name='one_incident_a_day_and_kind')],
                    },
                ),
                migrations.CreateModel(
                    name='IncidentChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('status', models.CharField(choices=[('open', 'Open'), ('resolved', 'Resolved')], max_length=8)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.CharField(max_length=64)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('incident', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='billing.incident')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='Invoice',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('owner_ref', models.CharField(max_length=64)),
                        ('currency', models.CharField(max_length=3)),
                        ('status', models.CharField(choices=[('prepared', 'Being issued'), ('open', 'Open'), ('paid', 'Paid'), ('uncollectible', 'Written off')], default='prepared', max_length=16)),
                        ('net_minor', models.BigIntegerField()),
                        ('tax_minor', models.BigIntegerField(default=0)),
                        ('credited_minor', models.BigIntegerField(default=0, help_text='what credit notes took off it, tax included; not what they put to the credit')),
                        ('paid_minor', models.BigIntegerField(default=0)),
                        ('number', models.CharField(blank=True, help_text="the processor's", max_length=60)),
                        ('processor_ref', models.CharField(blank=True, max_length=255)),
                        ('url', models.URLField(blank=True, max_length=500)),
                        ('pdf_url', models.URLField(blank=True, max_length=500)),
                        ('made_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('issued_at', models.DateTimeField(blank=True, null=True)),
                        ('due_at', models.DateTimeField(blank=True, null=True)),
                        ('paid_at', models.DateTimeField(blank=True, null=True)),
                        ('attempts', models.PositiveIntegerField(default=0, help_text='times its issuing was tried')),
                        ('last_error', models.TextField(blank=True)),
                        ('dispute_ref', models.CharField(blank=True, help_text="the processor's dispute that took its payment back", max_length=255)),
                        ('credit_used_minor', models.BigIntegerField(db_default=0, default=0, help_text="paid from the merchant's credit at the processor when it was issued")),
                        ('returned_minor', models.BigIntegerField(db_default=0, default=0, help_text="paid or credited twice, and put to the merchant's credit")),
                        ('written_off_minor', models.BigIntegerField(db_default=0, default=0)),
                    ],
                    options={
                        'indexes': [models.Index(fields=['owner_ref', '-id'], name='invoice_by_owner'), models.Index(condition=models.Q(('status__in', ['prepared', 'open'])), fields=['currency', 'due_at'], name='invoice_open'), models.Index(condition=models.Q(django.db.models.lookups.LessThan(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('net_minor'), '+', models.F('tax_minor')), '+', models.F('returned_minor')), '-', models.F('credit_used_minor')), '-', models.F('credited_minor')), '-', models.F('paid_minor')), '-', models.F('written_off_minor')), 0), ('status', 'paid')), fields=['id'], name='invoice_overpaid')],
                        'constraints': [models.CheckConstraint(condition=models.Q(('net_minor__gt', 0)), name='invoice_asks_for_something')],
                    },
                ),
                migrations.CreateModel(
                    name='DunningStep',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('step', models.CharField(choices=[('reminder', 'Reminder'), ('second', 'Second reminder'), ('final', 'Last reminder'), ('suspended', 'Fees stopped')], max_length=12)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('invoice', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='dunning', to='billing.invoice')),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('invoice', 'step'), name='each_reminder_once')],
                    },
                ),
                migrations.CreateModel(
                    name='InvoiceChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('status', models.CharField(choices=[('prepared', 'Being issued'), ('open', 'Open'), ('paid', 'Paid'), ('uncollectible', 'Written off')], max_length=16)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.CharField(max_length=64)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('invoice', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='billing.invoice')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='InvoiceTax',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('amount_minor', models.BigIntegerField()),
                        ('taxable_minor', models.BigIntegerField()),
                        ('reason', models.CharField(help_text='`taxability_reason`', max_length=40)),
                        ('invoice', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='taxes', to='billing.invoice')),
                    ],
                ),
                migrations.CreateModel(
                    name='MerchantBudget',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('merchant_ref', models.CharField(max_length=64)),
                        ('currency', models.CharField(max_length=3)),
                        ('period', models.CharField(help_text='ISO 8601 month, in UTC', max_length=10)),
                        ('cap_micros', models.BigIntegerField()),
                        ('spent_micros', models.BigIntegerField(default=0, help_text='held and posted; released holds come off')),
                        ('at_cap', models.CharField(choices=[('pause', 'Pause my offers'), ('organic', 'Show them unbilled and unlabelled')], default='organic', max_length=8)),
                        ('day_cap_micros', models.BigIntegerField(blank=True, help_text="of each day; none: the month's alone", null=True)),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('merchant_ref', 'currency', 'period'), name='one_budget_a_period'), models.CheckConstraint(condition=models.Q(('cap_micros__gte', 0)), name='cap_is_not_negative'), models.CheckConstraint(condition=models.Q(('spent_micros__gte', 0)), name='spent_is_not_negative'), models.CheckConstraint(condition=models.Q(('day_cap_micros__isnull', True), ('day_cap_micros__gte', 0), _connector='OR'), name='day_cap_is_not_negative')],
                    },
                ),
                migrations.CreateModel(
                    name='BudgetChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('cap_micros', models.BigIntegerField()),
                        ('at_cap', models.CharField(choices=[('pause', 'Pause my offers'), ('organic', 'Show them unbilled and unlabelled')], max_length=8)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.CharField(max_length=64)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('budget', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='billing.merchantbudget')),
                        ('day_cap_micros', models.BigIntegerField(blank=True, null=True)),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='BudgetDay',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('day', models.DateField()),
                        ('spent_micros', models.BigIntegerField(default=0)),
                        ('budget', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='days', to='billing.merchantbudget')),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('budget', 'day'), name='one_row_a_day'), models.CheckConstraint(condition=models.Q(('spent_micros__gte', 0)), name='day_spent_is_not_negative')],
                    },
                ),
                migrations.CreateModel(
                    name='MerchantFunding',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('merchant_ref', models.CharField(max_length=64)),
                        ('currency', models.CharField(max_length=3)),
                        ('mode', models.CharField(choices=[('prepaid', 'From a balance paid in before'), ('postpaid', 'By invoice')], default='postpaid', max_length=8)),
                        ('credit_limit_micros', models.BigIntegerField(blank=True, help_text="at most owed at a time, held fees included; none: no limit of the store's", null=True)),
                        ('alert_below_micros', models.BigIntegerField(default=0, help_text='tell the merchant when less than this is left of its balance')),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('merchant_ref', 'currency'), name='one_funding_a_merchant'), models.CheckConstraint(condition=models.Q(('credit_limit_micros__isnull', True), ('credit_limit_micros__gte', 0), _connector='OR'), name='credit_limit_is_not_negative')],
                    },
                ),
                migrations.CreateModel(
                    name='FundingChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('mode', models.CharField(choices=[('prepaid', 'From a balance paid in before'), ('postpaid', 'By invoice')], max_length=8)),
                        ('credit_limit_micros', models.BigIntegerField(blank=True, null=True)),
                        ('alert_below_micros', models.BigIntegerField(default=0)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.CharField(max_length=64)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('funding', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='billing.merchantfunding')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='MovementMark',
                    fields=[
                        ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                        ('read_until', models.DateTimeField()),
                    ],
                    options={
                        'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='only_one_movement_mark')],
                    },
                ),
                migrations.CreateModel(
                    name='Notice',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('key', models.CharField(help_text='what it is about: told once', max_length=200)),
                        ('owner_ref', models.CharField(max_length=64)),
                        ('subject', models.CharField(max_length=150)),
                        ('text', models.TextField()),
                        ('path', models.CharField(blank=True, help_text='the page in the store that it leads to', max_length=200)),
                        ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('sent_at', models.DateTimeField(blank=True, null=True)),
                        ('attempts', models.PositiveIntegerField(default=0)),
                        ('retry_at', models.DateTimeField(default=agentstore.kit.clock.now, help_text='not tried again before this')),
                    ],
                    options={
                        'ordering': ['-created_at', '-id'],
                        'indexes': [models.Index(condition=models.Q(('sent_at__isnull', True)), fields=['retry_at'], name='notice_unsent'), models.Index(fields=['owner_ref', '-created_at'], name='notice_by_owner')],
                        'constraints': [models.UniqueConstraint(fields=('key',), name='each_notice_once')],
                    },
                ),
                migrations.CreateModel(
                    name='PayoutAccount',
                    fields=[
                        ('owner_ref', models.CharField(max_length=64, primary_key=True, serialize=False)),
                        ('processor_ref', models.CharField(blank=True, max_length=255)),
                        ('country', models.CharField(max_length=2)),
                        ('ready', models.BooleanField(default=False, help_text='money can be sent to it and from it to a bank')),
                        ('missing', models.JSONField(default=list, help_text='what the processor still asks for')),
                        ('reason', models.CharField(blank=True, max_length=80)),
                        ('checked_at', models.DateTimeField(blank=True, null=True)),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(condition=models.Q(('processor_ref', ''), _negated=True), fields=('processor_ref',), name='one_owner_an_account')],
                    },
                ),
                migrations.CreateModel(
                    name='PayoutHold',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('owner_ref', models.CharField(max_length=64)),
                        ('reason', models.CharField(max_length=200)),
                        ('placed_by', models.CharField(max_length=64)),
                        ('placed_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('lifted_by', models.CharField(blank=True, max_length=64)),
                        ('lifted_at', models.DateTimeField(blank=True, null=True)),
                    ],
                    options={
                        'indexes': [models.Index(condition=models.Q(('lifted_at', None)), fields=['owner_ref'], name='payout_holds')],
                    },
                ),
                migrations.CreateModel(
                    name='PriceVersion',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('name', models.CharField(max_length=60, unique=True)),
                        ('currency', models.CharField(max_length=3)),
                        ('status', models.CharField(choices=[('draft', 'Draft'), ('announced', 'Announced'), ('in_force', 'In force'), ('superseded', 'Superseded'), ('withdrawn', 'Withdrawn')], default='draft', max_length=12)),
                        ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('announced_at', models.DateTimeField(blank=True, null=True)),
                        ('effective_at', models.DateTimeField(blank=True, null=True)),
                        ('told_at', models.DateTimeField(blank=True, help_text='when organizations were told of it', null=True)),
                    ],
                    options={
                        'indexes': [models.Index(fields=['currency', '-effective_at'], name='price_version_by_time')],
                        'constraints': [models.UniqueConstraint(condition=models.Q(('status', 'withdrawn'), _negated=True), fields=('currency', 'effective_at'), name='one_price_version_at_a_time'), models.CheckConstraint(condition=models.Q(('status__in', ['draft', 'withdrawn']), models.Q(('announced_at__isnull', False), ('effective_at__isnull', False)), _connector='OR'), name='announced_prices_have_dates')],
                    },
                ),
                migrations.CreateModel(
                    name='Journal',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('idempotency_key', models.CharField(max_length=200)),
                        ('kind', models.CharField(max_length=32)),
                        ('occurred_at', models.DateTimeField(help_text='when it happened in the world')),
                        ('posted_at', models.DateTimeField(default=agentstore.kit.clock.now, help_text='when the books learned of it')),
                        ('memo', models.CharField(blank=True, max_length=200)),
                        ('content_sha256', models.BinaryField(help_text='of kind, price version, reverses and entries: same key, same content', max_length=32)),
                        ('xid', billing.models.fields.TransactionIdField(db_default=billing.models.fields.CurrentTransactionId(), editable=False)),
                        ('reverses', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reversals', to='billing.journal')),
                        ('price_version', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='journals', to='billing.priceversion')),
                    ],
                    options={
                        'indexes': [models.Index(fields=['kind', '-id'], name='journal_by_kind'), models.Index(condition=models.Q(('reverses__isnull', False)), fields=['reverses'], name='journal_reversals'), django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['posted_at'], name='journal_by_day')],
                        'constraints': [models.UniqueConstraint(fields=('idempotency_key',), name='one_journal_per_key')],
                    },
                ),
                migrations.CreateModel(
                    name='EarningRelease',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('owner_ref', models.CharField(max_length=64)),
                        ('currency', models.CharField(max_length=3)),
                        ('available_micros', models.BigIntegerField()),
                        ('reserve_micros', models.BigIntegerField()),
                        ('released_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('reserve_until', models.DateTimeField()),
                        ('reserve_released_at', models.DateTimeField(blank=True, null=True)),
                        ('reserve_released_micros', models.BigIntegerField(default=0, help_text='less than was kept where it was taken back meanwhile')),
                        ('journal', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.journal')),
                    ],
                    options={
                        'indexes': [models.Index(fields=['owner_ref', '-id'], name='release_by_owner'), models.Index(condition=models.Q(('reserve_released_at__isnull', True)), fields=['reserve_until'], name='reserve_due')],
                    },
                ),
                migrations.CreateModel(
                    name='Entry',
                    fields=[
                        ('id', models.BigAutoField(primary_key=True, serialize=False)),
                        ('leg', models.SmallIntegerField()),
                        ('amount', models.BigIntegerField(help_text='micro-units; debit positive, credit negative')),
                        ('xid', billing.models.fields.TransactionIdField(db_default=billing.models.fields.CurrentTransactionId(), editable=False)),
                        ('account', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='billing.account')),
                        ('journal', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='billing.journal')),
                    ],
                    options={
                        'ordering': ['journal_id', 'leg'],
                        'indexes': [models.Index(fields=['account', 'xid'], name='entry_of_account'), models.Index(fields=['xid'], name='entry_tail')],
                        'constraints': [models.UniqueConstraint(fields=('journal', 'leg'), name='one_entry_per_leg'), models.CheckConstraint(condition=models.Q(('amount', 0), _negated=True), name='entry_moves_something')],
                    },
                ),
                migrations.CreateModel(
                    name='Payout',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('owner_ref', models.CharField(max_length=64)),
                        ('currency', models.CharField(max_length=3)),
                        ('month', models.CharField(max_length=7)),
                        ('amount_minor', models.BigIntegerField()),
                        ('status', models.CharField(choices=[('prepared', 'Being sent'), ('sent', 'On its way'), ('paid', 'Paid'), ('failed', 'Failed, coming back'), ('returned', 'Returned')], default='prepared', max_length=10)),
                        ('processor_account', models.CharField(max_length=255)),
                        ('transfer_ref', models.CharField(blank=True, max_length=255)),
                        ('processor_ref', models.CharField(blank=True, max_length=255)),
                        ('made_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('arrives_at', models.DateTimeField(blank=True, null=True)),
                        ('failure', models.CharField(blank=True, max_length=200)),
                        ('attempts', models.PositiveIntegerField(default=0)),
                        ('last_error', models.TextField(blank=True)),
                        ('journal', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='payout', to='billing.journal')),
                    ],
                    options={
                        'indexes': [models.Index(fields=['owner_ref', '-id'], name='payout_by_owner'), models.Index(fields=['currency', 'status', 'made_at'], name='payout_by_status')],
                        'constraints': [models.UniqueConstraint(condition=models.Q(('status__in', ['failed', 'returned']), _negated=True), fields=('owner_ref', 'currency', 'month'), name='one_payout_a_month'), models.CheckConstraint(condition=models.Q(('amount_minor__gt', 0)), name='payout_pays_something')],
                    },
                ),
                migrations.CreateModel(
                    name='PayoutChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('status', models.CharField(choices=[('prepared', 'Being sent'), ('sent', 'On its way'), ('paid', 'Paid'), ('failed', 'Failed, coming back'), ('returned', 'Returned')], max_length=10)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.CharField(max_length=64)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('payout', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='billing.payout')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='PriceRule',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('kind', models.CharField(choices=[('ppcv', 'Pay per conversation'), ('agent_tax', 'Agent tax'), ('developer_share', 'Developer share')], max_length=16)),
                        ('category', models.CharField(blank=True, default='', max_length=160)),
                        ('amount_micros', models.BigIntegerField(blank=True, null=True)),
                        ('rate_ppm', models.IntegerField(blank=True, null=True)),
                        ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='rules', to='billing.priceversion')),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('version', 'kind', 'category'), name='one_rule_per_category'), models.CheckConstraint(condition=models.Q(models.Q(('amount_micros__gte', 0), ('kind', 'ppcv'), ('rate_ppm__isnull', True)), models.Q(('amount_micros__isnull', True), ('kind', 'agent_tax'), ('rate_ppm__range', (0, 200000))), models.Q(('amount_micros__isnull', True), ('kind', 'developer_share'), ('rate_ppm__range', (0, 1000000))), _connector='OR'), name='rule_fits_its_kind')],
                    },
                ),
                migrations.CreateModel(
                    name='PriceVersionChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('status', models.CharField(choices=[('draft', 'Draft'), ('announced', 'Announced'), ('in_force', 'In force'), ('superseded', 'Superseded'), ('withdrawn', 'Withdrawn')], max_length=12)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.CharField(help_text="user:<uuid> or the service's name", max_length=64)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='billing.priceversion')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='ProcessorLink',
                    fields=[
                        ('journal', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='processor_link', serialize=False, to='billing.journal')),
                        ('payment_ref', models.CharField(db_index=True, max_length=255)),
                    ],
                ),
                migrations.CreateModel(
                    name='ProcessorMovement',
                    fields=[
                        ('id', models.CharField(max_length=255, primary_key=True, serialize=False)),
                        ('type', models.CharField(max_length=60)),
                        ('source_ref', models.CharField(blank=True, help_text='the object that moved the money', max_length=255)),
                        ('payment_ref', models.CharField(blank=True, help_text='the payment intent of a charge', max_length=255)),
                        ('reference', models.CharField(blank=True, help_text='our own on that object', max_length=200)),
                        ('match_key', models.CharField(help_text='names what the books must have for it', max_length=300)),
                        ('currency', models.CharField(max_length=3)),
                        ('amount_minor', models.BigIntegerField(help_text='before the fee; negative where it left')),
                        ('fee_minor', models.BigIntegerField(default=0)),
                        ('created_at', models.DateTimeField()),
                    ],
                    options={
                        'indexes': [models.Index(fields=['created_at'], name='movement_by_time'), models.Index(fields=['match_key'], name='movement_by_key'), models.Index(condition=models.Q(('payment_ref', ''), _negated=True), fields=['payment_ref'], name='movement_by_payment'), models.Index(fields=['source_ref'], name='movement_by_source')],
                    },
                ),
                migrations.CreateModel(
                    name='Reconciliation',
                    fields=[
                        ('day', models.DateField(help_text='in UTC', primary_key=True, serialize=False)),
                        ('status', models.CharField(choices=[('waiting', 'Not reconciled'), ('matched', 'Matched'), ('differences', 'Differences')], default='waiting', max_length=12)),
                        ('started_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('finished_at', models.DateTimeField(blank=True, null=True)),
                        ('attempts', models.PositiveIntegerField(default=0)),
                        ('last_error', models.TextField(blank=True)),
                        ('counts', models.JSONField(default=dict)),
                        ('retry_at', models.DateTimeField(blank=True, help_text='when it is made again by itself; none: nothing is open', null=True)),
                    ],
                    options={
                        'ordering': ['-day'],
                        'indexes': [models.Index(condition=models.Q(('retry_at__isnull', False)), fields=['retry_at'], name='reconcile_again')],
                    },
                ),
                migrations.CreateModel(
                    name='ReconciledBalance',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('currency', models.CharField(max_length=3)),
                        ('processor_micros', models.BigIntegerField()),
                        ('books_micros', models.BigIntegerField(help_text='processor_clearing')),
                        ('in_flight_micros', models.BigIntegerField(default=0, help_text='of the day: at the processor, not in the books')),
                        ('reconciliation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='balances', to='billing.reconciliation')),
                    ],
                    options={
                        'ordering': ['currency'],
                        'constraints': [models.UniqueConstraint(fields=('reconciliation', 'currency'), name='one_balance_a_currency')],
                    },
                ),
                migrations.CreateModel(
                    name='ReconciliationChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('status', models.CharField(choices=[('waiting', 'Not reconciled'), ('matched', 'Matched'), ('differences', 'Differences')], max_length=12)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.CharField(max_length=64)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('reconciliation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='billing.reconciliation')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='Repayment',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('amount_minor', models.BigIntegerField()),
                        ('status', models.CharField(choices=[('started', 'Not paid yet'), ('paid', 'Paid'), ('failed', 'Given up')], default='started', max_length=8)),
                        ('page_ref', models.CharField(blank=True, help_text="the processor's page", max_length=255)),
                        ('payment_ref', models.CharField(blank=True, max_length=64)),
                        ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('invoice', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='repayments', to='billing.invoice')),
                    ],
                    options={
                        'constraints': [models.CheckConstraint(condition=models.Q(('amount_minor__gt', 0)), name='repayment_pays_something'), models.UniqueConstraint(condition=models.Q(('status', 'started')), fields=('invoice',), name='one_repayment_at_a_time')],
                    },
                ),
                migrations.CreateModel(
                    name='RepaymentChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('status', models.CharField(choices=[('started', 'Not paid yet'), ('paid', 'Paid'), ('failed', 'Given up')], max_length=8)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.CharField(max_length=64)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('repayment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='billing.repayment')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='RollupMark',
                    fields=[
                        ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                        ('xid', billing.models.fields.TransactionIdField()),
                        ('moved_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                    ],
                    options={
                        'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='only_one_mark')],
                    },
                ),
                migrations.CreateModel(
                    name='StatementPeriod',
                    fields=[
                        ('month', models.CharField(help_text='ISO 8601, in UTC', max_length=7, primary_key=True, serialize=False)),
                        ('ends_at', models.DateTimeField()),
                        ('mark', billing.models.fields.TransactionIdField()),
                        ('closed_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                    ],
                    options={
                        'ordering': ['month'],
                    },
                ),
                migrations.CreateModel(
                    name='Statement',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('owner_ref', models.CharField(max_length=64)),
                        ('currency', models.CharField(max_length=3)),
                        ('made_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('charges_minor', models.BigIntegerField(default=0, help_text='whole minor units, lines rounded once each')),
                        ('rounding_micros', models.BigIntegerField(default=0, help_text='charges as rounded less as metered')),
                        ('carried_in_minor', models.BigIntegerField(default=0, help_text='not invoiced before: too small, or a credit')),
                        ('invoice', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='statements', to='billing.invoice')),
                        ('period', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='statements', to='billing.statementperiod')),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('owner_ref', 'currency', 'period'), name='one_statement_a_month')],
                    },
                ),
                migrations.CreateModel(
                    name='StatementBalance',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('account_kind', models.CharField(choices=[('merchant_wallet', 'Merchant wallet'), ('merchant_receivable', 'Merchant receivable'), ('merchant_prepaid', 'Merchant prepaid balance'), ('platform_revenue', 'Platform revenue'), ('developer_pending', 'Developer share, pending'), ('developer_available', 'Developer share, available'), ('developer_reserve', 'Developer share, in reserve'), ('processor_clearing', 'Processor clearing'), ('processor_fees', 'Processor fees'), ('operator_bank', "Operator's bank account"), ('dispute_loss', 'Dispute loss'), ('sales_tax', 'Sales tax'), ('rounding', 'Rounding')], max_length=24)),
                        ('opening_micros', models.BigIntegerField()),
                        ('closing_micros', models.BigIntegerField()),
                        ('statement', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='balances', to='billing.statement')),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('statement', 'account_kind'), name='one_balance_of_a_kind')],
                    },
                ),
                migrations.CreateModel(
                    name='StatementLine',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('number', models.PositiveSmallIntegerField()),
                        ('account_kind', models.CharField(choices=[('merchant_wallet', 'Merchant wallet'), ('merchant_receivable', 'Merchant receivable'), ('merchant_prepaid', 'Merchant prepaid balance'), ('platform_revenue', 'Platform revenue'), ('developer_pending', 'Developer share, pending'), ('developer_available', 'Developer share, available'), ('developer_reserve', 'Developer share, in reserve'), ('processor_clearing', 'Processor clearing'), ('processor_fees', 'Processor fees'), ('operator_bank', "Operator's bank account"), ('dispute_loss', 'Dispute loss'), ('sales_tax', 'Sales tax'), ('rounding', 'Rounding')], max_length=24)),
                        ('kind', models.CharField(help_text="the journals' kind", max_length=32)),
                        ('category', models.CharField(blank=True, max_length=160)),
                        ('late_from', models.CharField(blank=True, help_text='the closed month that it happened in', max_length=7)),
                        ('charge', models.BooleanField(default=False, help_text='part of what is invoiced')),
                        ('quantity', models.PositiveBigIntegerField()),
                        ('exact_micros', models.BigIntegerField()),
                        ('amount_minor', models.BigIntegerField()),
                        ('price_version', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.priceversion')),
                        ('statement', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='billing.statement')),
                    ],
                    options={
                        'ordering': ['number'],
                        'constraints': [models.UniqueConstraint(fields=('statement', 'number'), name='statement_lines_are_numbered'), models.CheckConstraint(condition=models.Q(('quantity__gt', 0)), name='statement_line_has_movements')],
                    },
                ),
                migrations.CreateModel(
                    name='SubjectTotal',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('role', models.CharField(choices=[('merchant', 'Merchant'), ('developer', 'Developer'), ('agent', 'Agent'), ('pair', 'Merchant and agent')], max_length=9)),
                        ('currency', models.CharField(max_length=3)),
                        ('day', models.DateField()),
                        ('merchant_ref', models.CharField(blank=True, max_length=64)),
                        ('developer_ref', models.CharField(blank=True, max_length=64)),
                        ('agent_ref', models.CharField(blank=True, max_length=64)),
                        ('journal_kind', models.CharField(max_length=32)),
                        ('fee_micros', models.BigIntegerField(default=0, help_text='what merchants were charged; negative: given back')),
                        ('share_micros', models.BigIntegerField(default=0, help_text="the developers' part of it")),
                        ('journals', models.BigIntegerField(default=0)),
                    ],
                    options={
                        'indexes': [models.Index(condition=models.Q(('merchant_ref', ''), _negated=True), fields=['merchant_ref', 'role', 'day'], name='subject_of_merchant'), models.Index(condition=models.Q(('developer_ref', ''), _negated=True), fields=['developer_ref', 'role', 'day'], name='subject_of_developer')],
                        'constraints': [models.UniqueConstraint(fields=('role', 'currency', 'day', 'merchant_ref', 'developer_ref', 'agent_ref', 'journal_kind'), name='one_subject_total_a_day')],
                    },
                ),
                migrations.CreateModel(
                    name='TopUp',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('merchant_ref', models.CharField(max_length=64)),
                        ('currency', models.CharField(max_length=3)),
                        ('amount_micros', models.BigIntegerField()),
                        ('status', models.CharField(choices=[('started', 'Not paid yet'), ('paid', 'Paid'), ('failed', 'Given up')], default='started', max_length=8)),
                        ('decline', models.CharField(blank=True, help_text="the bank's last answer while it is not paid", max_length=60)),
                        ('payment_ref', models.CharField(blank=True, max_length=64)),
                        ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('journal', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='top_up', to='billing.journal')),
                    ],
                    options={
                        'indexes': [models.Index(fields=['merchant_ref', '-created_at'], name='top_up_by_merchant')],
                        'constraints': [models.CheckConstraint(condition=models.Q(('amount_micros__gt', 0)), name='top_up_adds_something'), models.CheckConstraint(condition=models.Q(models.Q(('journal__isnull', False), ('status', 'paid')), models.Q(models.Q(('status', 'paid'), _negated=True), ('journal__isnull', True)), _connector='OR'), name='paid_top_ups_are_booked')],
                    },
                ),
                migrations.CreateModel(
                    name='TopUpChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('status', models.CharField(choices=[('started', 'Not paid yet'), ('paid', 'Paid'), ('failed', 'Given up')], max_length=8)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.CharField(max_length=64)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('top_up', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='billing.topup')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='UsageEvent',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('idempotency_key', models.CharField(max_length=200)),
                        ('kind', models.CharField(choices=[('ppcv', 'Pay per conversation'), ('agent_tax', 'Agent tax'), ('tax_reversal', 'Agent tax returned')], max_length=16)),
                        ('conversation_ref', models.CharField(blank=True, max_length=64)),
                        ('merchant_ref', models.CharField(max_length=64)),
                        ('developer_ref', models.CharField(max_length=64)),
                        ('line_ref', models.CharField(blank=True, max_length=64)),
                        ('category', models.CharField(blank=True, max_length=160)),
                        ('currency', models.CharField(max_length=3)),
                        ('base_micros', models.BigIntegerField(default=0, help_text='the sale or the part refunded; 0 for PPCv')),
                        ('amount_micros', models.BigIntegerField(help_text='the fee; negative when returned')),
                        ('developer_share_micros', models.BigIntegerField(help_text="the developer's part of it")),
                        ('status', models.CharField(choices=[('held', 'Held'), ('quarantined', 'In quarantine'), ('review', 'Waits for review'), ('rated', 'Rated'), ('posted', 'Posted'), ('rejected', 'Rejected'), ('reversed', 'Reversed')], max_length=12)),
                        ('occurred_at', models.DateTimeField()),
                        ('recorded_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('due_at', models.DateTimeField(help_text='when its quarantine ends')),
                        ('journal', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='usage_event', to='billing.journal')),
                        ('price_version', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='events', to='billing.priceversion')),
                        ('reverses', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reversals', to='billing.usageevent')),
                        ('buyer_ref', models.CharField(blank=True, help_text='who talked, as the caller names them', max_length=64)),
                        ('funding', models.CharField(choices=[('prepaid', 'From a balance paid in before'), ('postpaid', 'By invoice')], default='postpaid', help_text='a prepaid fee is paid when it is posted and never invoiced', max_length=8)),
                        ('agent_ref', models.CharField(blank=True, db_default='', default='', help_text='what brought it about, as the caller names it', max_length=64)),
                    ],
                    options={
                        'indexes': [models.Index(condition=models.Q(('status', 'quarantined')), fields=['due_at', 'id'], name='usage_due'), models.Index(condition=models.Q(('status', 'rated')), fields=['id'], name='usage_rated'), models.Index(condition=models.Q(('reverses__isnull', False)), fields=['reverses'], name='usage_reversals'), models.Index(fields=['merchant_ref', '-occurred_at'], name='usage_by_merchant'), models.Index(fields=['developer_ref', '-occurred_at'], name='usage_by_developer'), models.Index(condition=models.Q(('status__in', ['quarantined', 'review'])), fields=['conversation_ref'], name='usage_of_conversation'), models.Index(condition=models.Q(('status', 'posted'), _negated=True), fields=['status', 'id'], name='usage_not_posted'), django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['recorded_at'], name='usage_by_day'), models.Index(condition=models.Q(('kind', 'ppcv'), _negated=True), fields=['merchant_ref', '-occurred_at'], name='usage_tax_by_merchant'), models.Index(condition=models.Q(('kind', 'ppcv'), _negated=True), fields=['kind', '-id'], name='usage_of_rare_kinds')],
                        'constraints': [models.UniqueConstraint(fields=('idempotency_key',), name='one_usage_event_per_key')],
                    },
                ),
                migrations.CreateModel(
                    name='ChargeDispute',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('owner_ref', models.CharField(max_length=64)),
                        ('reason', models.TextField(max_length=2000)),
                        ('status', models.CharField(choices=[('open', 'Waits for a decision'), ('upheld', 'Credited'), ('declined', 'Declined')], default='open', max_length=8)),
                        ('opened_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('opened_by', models.CharField(max_length=64)),
                        ('decided_at', models.DateTimeField(blank=True, null=True)),
                        ('decided_by', models.CharField(blank=True, max_length=64)),
                        ('note', models.TextField(blank=True, max_length=2000)),
                        ('event', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='dispute', to='billing.usageevent')),
                    ],
                    options={
                        'indexes': [models.Index(condition=models.Q(('status', 'open')), fields=['opened_at'], name='disputes_open'), models.Index(fields=['opened_at'], name='disputes_by_opening'), models.Index(condition=models.Q(('decided_at__isnull', False)), fields=['decided_at'], name='disputes_by_decision')],
                    },
                ),
                migrations.CreateModel(
                    name='CreditNote',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('net_minor', models.BigIntegerField()),
                        ('tax_minor', models.BigIntegerField(default=0)),
                        ('made_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('issued_at', models.DateTimeField(blank=True, null=True)),
                        ('number', models.CharField(blank=True, max_length=60)),
                        ('processor_ref', models.CharField(blank=True, max_length=255)),
                        ('pdf_url', models.URLField(blank=True, max_length=500)),
                        ('attempts', models.PositiveIntegerField(default=0)),
                        ('last_error', models.TextField(blank=True)),
                        ('dispute', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='credit_note', to='billing.chargedispute')),
                        ('invoice', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='credit_notes', to='billing.invoice')),
                        ('line', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='credit_notes', to='billing.statementline')),
                    ],
                    options={
                        'constraints': [models.CheckConstraint(condition=models.Q(('net_minor__gt', 0)), name='credit_note_credits')],
                    },
                ),
                migrations.CreateModel(
                    name='Hold',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('amount_micros', models.BigIntegerField()),
                        ('placed_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('captured_at', models.DateTimeField(blank=True, null=True)),
                        ('released_at', models.DateTimeField(blank=True, null=True)),
                        ('budget', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='holds', to='billing.merchantbudget')),
                        ('event', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='hold', to='billing.usageevent')),
                    ],
                    options={
                        'indexes': [models.Index(condition=models.Q(('captured_at__isnull', True), ('released_at__isnull', True)), fields=['budget'], include=('amount_micros',), name='hold_open')],
                        'constraints': [models.CheckConstraint(condition=models.Q(('amount_micros__gt', 0)), name='hold_takes_something')],
                    },
                ),
                migrations.CreateModel(
                    name='IncidentLine',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('problem', models.CharField(help_text='a key of billing.reconciliation.words', max_length=40)),
                        ('reference', models.CharField(help_text="what it is about, in our words or the processor's", max_length=300)),
                        ('detail', models.CharField(blank=True, max_length=300)),
                        ('currency', models.CharField(blank=True, max_length=3)),
                        ('expected_micros', models.BigIntegerField(blank=True, null=True)),
                        ('found_micros', models.BigIntegerField(blank=True, null=True)),
                        ('processor_ref', models.CharField(blank=True, max_length=255)),
                        ('found_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('gone_at', models.DateTimeField(blank=True, null=True)),
                        ('event', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='billing.usageevent')),
                        ('incident', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='billing.incident')),
                        ('journal', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='billing.journal')),
                    ],
                    options={
                        'ordering': ['id'],
                        'constraints': [models.UniqueConstraint(fields=('incident', 'problem', 'reference', 'currency'), name='one_line_a_thing_and_problem')],
                    },
                ),
                migrations.CreateModel(
                    name='UsageEventChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('status', models.CharField(choices=[('held', 'Held'), ('quarantined', 'In quarantine'), ('review', 'Waits for review'), ('rated', 'Rated'), ('posted', 'Posted'), ('rejected', 'Rejected'), ('reversed', 'Reversed')], max_length=12)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.CharField(max_length=64)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('event', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='billing.usageevent')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                        'indexes': [django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['at'], name='usage_change_by_day')],
                    },
                ),
                migrations.CreateModel(
                    name='UsageFlag',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('rule', models.CharField(choices=[('own_organization', 'Own organization'), ('velocity', 'Too many in a short time'), ('many_conversations', 'One shopper, many conversations'), ('no_real_message', 'No real message'), ('instant_close', 'Closed at once')], max_length=20)),
                        ('detail', models.CharField(blank=True, help_text='the figures that broke it', max_length=200)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('event', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='flags', to='billing.usageevent')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                        'constraints': [models.UniqueConstraint(fields=('event', 'rule'), name='each_rule_once')],
                    },
                ),
                migrations.CreateModel(
                    name='UsageTally',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('merchant_ref', models.CharField(max_length=64)),
                        ('subject', models.CharField(help_text='buyer:<ref> or developer:<ref>', max_length=80)),
                        ('window', models.DateTimeField(help_text='its first instant')),
                        ('events', models.PositiveIntegerField(default=0)),
                    ],
                    options={
                        'indexes': [models.Index(fields=['window'], name='tally_by_age')],
                        'constraints': [models.UniqueConstraint(fields=('merchant_ref', 'subject', 'window'), name='one_tally_a_window')],
                    },
                ),
                migrations.CreateModel(
                    name='WebhookEvent',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('source', models.CharField(default='stripe', max_length=16)),
                        ('external_id', models.CharField(max_length=255)),
                        ('type', models.CharField(max_length=120)),
                        ('payload', models.JSONField()),
                        ('received_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('handled_at', models.DateTimeField(blank=True, null=True)),
                        ('attempts', models.PositiveIntegerField(default=0, help_text='times its handling failed')),
                        ('last_error', models.TextField(blank=True)),
                        ('retry_at', models.DateTimeField(default=agentstore.kit.clock.now, help_text='not handed out again before this')),
                    ],
                    options={
                        'indexes': [models.Index(condition=models.Q(('handled_at__isnull', True)), fields=['retry_at'], name='webhook_unhandled')],
                        'constraints': [models.UniqueConstraint(fields=('source', 'external_id'), name='each_event_once')],
                    },
                ),
            ],
        ),
        migrations.RunSQL(REFUSE_EDITS, ALLOW_EDITS),
        migrations.RunSQL(REFUSE_UNBALANCED, ALLOW_UNBALANCED),
        migrations.RunSQL(KEEP_ACCOUNTS, RELEASE_ACCOUNTS),
        migrations.RunSQL(KEEP_PRICES, RELEASE_PRICES),
        migrations.RunSQL(REFUSE_OTHER_CLOSES, ALLOW_OTHER_CLOSES),
        migrations.RunSQL(KEEP_STATEMENTS, RELEASE_STATEMENTS),
        migrations.RunSQL(KEEP_EVENTS, RELEASE_EVENTS),
    ]
