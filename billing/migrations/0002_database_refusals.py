"""What the database itself refuses, whoever asks: edits of the books, journals that don't balance, changed prices."""

from __future__ import annotations

from django.db import migrations

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
REFUSE_UNBALANCED = """
CREATE FUNCTION billing_check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE culprit text;
BEGIN
    SELECT a.journal_id::text INTO culprit FROM added a
        LEFT JOIN billing_journal j ON j.id = a.journal_id
        LEFT JOIN billing_account c ON c.id = a.account_id
        WHERE j.id IS NULL OR c.id IS NULL LIMIT 1;
    IF culprit IS NOT NULL THEN
        RAISE EXCEPTION 'journal % or an account of its entries does not exist', culprit
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    SELECT a.journal_id::text INTO culprit
        FROM added a JOIN billing_journal j ON j.id = a.journal_id
        WHERE j.xid <> pg_current_xact_id() OR a.xid <> pg_current_xact_id() LIMIT 1;
    IF culprit IS NOT NULL THEN
        RAISE EXCEPTION 'journal % is of another transaction and closed', culprit
            USING ERRCODE = 'restrict_violation';
    END IF;
    SELECT format('journal %s is off by %s %s', a.journal_id, sum(a.amount), c.currency) INTO culprit
        FROM added a JOIN billing_account c ON c.id = a.account_id
        GROUP BY a.journal_id, c.currency HAVING sum(a.amount) <> 0 LIMIT 1;
    IF culprit IS NOT NULL THEN
        RAISE EXCEPTION 'unbalanced: %', culprit USING ERRCODE = 'check_violation';
    END IF;
    SELECT a.journal_id::text INTO culprit FROM added a GROUP BY a.journal_id HAVING count(*) < 2 LIMIT 1;
    IF culprit IS NOT NULL THEN
        RAISE EXCEPTION 'journal % has fewer than two entries', culprit USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER billing_entries_balance AFTER INSERT ON billing_entry
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION billing_check_entries();

CREATE FUNCTION billing_check_journals() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE culprit text;
BEGIN
    SELECT a.id::text INTO culprit FROM added a
        WHERE a.xid <> pg_current_xact_id()
           OR NOT EXISTS (SELECT FROM billing_entry e WHERE e.journal_id = a.id) LIMIT 1;
    IF culprit IS NOT NULL THEN
        RAISE EXCEPTION 'journal % has no entries, or claims another transaction', culprit
            USING ERRCODE = 'check_violation';
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


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_ledger_prices_and_usage")]

    operations = [
        migrations.RunSQL(REFUSE_EDITS, ALLOW_EDITS),
        migrations.RunSQL(REFUSE_UNBALANCED, ALLOW_UNBALANCED),
        migrations.RunSQL(KEEP_ACCOUNTS, RELEASE_ACCOUNTS),
        migrations.RunSQL(KEEP_PRICES, RELEASE_PRICES),
    ]
