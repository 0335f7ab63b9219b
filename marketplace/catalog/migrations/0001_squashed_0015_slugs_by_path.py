"""Products, offers, feeds, search and marked texts, and what the database itself notes of prices and texts."""

from __future__ import annotations

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.comparison
import pgvector.django.halfvec
import pgvector.django.indexes
from django.conf import settings
from django.db import migrations, models
from pgvector.django import VectorExtension

import agentstore.kit.clock
import agentstore.kit.ids
from agentstore.kit.migrations import CreateModels

# Whoever changes a price, by whatever statement, leaves the price it had in the history.
NOTE_PRICES = """
CREATE FUNCTION catalog_note_price() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_pricepoint (offer_id, price_micros, list_price_micros, at)
    VALUES (NEW.id, NEW.price_micros, NEW.list_price_micros, clock_timestamp());
    RETURN NULL;
END $$;
CREATE TRIGGER catalog_offer_first_price AFTER INSERT ON catalog_offer
    FOR EACH ROW EXECUTE FUNCTION catalog_note_price();
CREATE TRIGGER catalog_offer_next_price AFTER UPDATE OF price_micros, list_price_micros ON catalog_offer
    FOR EACH ROW WHEN ((OLD.price_micros, OLD.list_price_micros) IS DISTINCT FROM
        (NEW.price_micros, NEW.list_price_micros))
    EXECUTE FUNCTION catalog_note_price();
"""
FORGET_PRICES = """
DROP TRIGGER catalog_offer_next_price ON catalog_offer;
DROP TRIGGER catalog_offer_first_price ON catalog_offer;
DROP FUNCTION catalog_note_price();
"""

# Whoever changes a text, by whatever statement, puts its product in line for examination. These wait for an
# examination under way rather than looking at its row first: what it read may be the text of before.
EXAMINE_TEXTS = """
CREATE FUNCTION catalog_examine_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_textexamination (product_id, version) SELECT id, 0 FROM new_rows;
    RETURN NULL;
END $$;
CREATE TRIGGER catalog_product_new_texts AFTER INSERT ON catalog_product
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION catalog_examine_new();

CREATE FUNCTION catalog_examine_reworded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_textexamination e SET version = 0 FROM new_rows n JOIN old_rows o ON o.id = n.id
    WHERE e.product_id = n.id AND (n.title, n.description, n.brand, n.category_id, n.attributes)
        IS DISTINCT FROM (o.title, o.description, o.brand, o.category_id, o.attributes);
    RETURN NULL;
END $$;
CREATE TRIGGER catalog_product_texts AFTER UPDATE ON catalog_product
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_examine_reworded();

CREATE FUNCTION catalog_examine_new_variants() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_textexamination e SET version = 0 FROM new_rows n
    WHERE e.product_id = n.product_id AND (n.sku <> '' OR n.options <> '{}'::jsonb);
    RETURN NULL;
END $$;
CREATE TRIGGER catalog_variant_new_texts AFTER INSERT ON catalog_variant
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION catalog_examine_new_variants();

CREATE FUNCTION catalog_examine_reworded_variants() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_textexamination e SET version = 0 FROM new_rows n JOIN old_rows o ON o.id = n.id
    WHERE e.product_id IN (n.product_id, o.product_id)
        AND (n.sku, n.options, n.product_id) IS DISTINCT FROM (o.sku, o.options, o.product_id);
    RETURN NULL;
END $$;
CREATE TRIGGER catalog_variant_texts AFTER UPDATE ON catalog_variant
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_examine_reworded_variants();

CREATE FUNCTION catalog_examine_without() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_textexamination e SET version = 0 FROM old_rows o WHERE e.product_id = o.product_id;
    RETURN NULL;
END $$;
CREATE TRIGGER catalog_variant_gone AFTER DELETE ON catalog_variant
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION catalog_examine_without();

-- A photograph is described by its product's title, which is examined as such; only other words count.
CREATE FUNCTION catalog_examine_new_media() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_textexamination e SET version = 0 FROM new_rows n JOIN catalog_product p ON p.id = n.product_id
    WHERE e.product_id = n.product_id AND n.alt <> '' AND n.alt <> p.title;
    RETURN NULL;
END $$;
CREATE TRIGGER catalog_media_new_texts AFTER INSERT ON catalog_media
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION catalog_examine_new_media();

CREATE FUNCTION catalog_examine_reworded_media() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_textexamination e SET version = 0 FROM new_rows n JOIN old_rows o ON o.id = n.id
    WHERE e.product_id = n.product_id AND n.alt <> o.alt;
    RETURN NULL;
END $$;
CREATE TRIGGER catalog_media_texts AFTER UPDATE ON catalog_media
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_examine_reworded_media();

CREATE FUNCTION catalog_examine_without_media() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_textexamination e SET version = 0 FROM old_rows o WHERE e.product_id = o.product_id AND o.alt <> '';
    RETURN NULL;
END $$;
CREATE TRIGGER catalog_media_gone AFTER DELETE ON catalog_media
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION catalog_examine_without_media();
"""
FORGET_TEXTS = """
DROP TRIGGER catalog_media_gone ON catalog_media;
DROP FUNCTION catalog_examine_without_media();
DROP TRIGGER catalog_media_texts ON catalog_media;
DROP TRIGGER catalog_media_new_texts ON catalog_media;
DROP TRIGGER catalog_variant_gone ON catalog_variant;
DROP TRIGGER catalog_variant_texts ON catalog_variant;
DROP TRIGGER catalog_variant_new_texts ON catalog_variant;
DROP TRIGGER catalog_product_texts ON catalog_product;
DROP TRIGGER catalog_product_new_texts ON catalog_product;
DROP FUNCTION catalog_examine_reworded_media(), catalog_examine_new_media(), catalog_examine_without(),
    catalog_examine_reworded_variants(), catalog_examine_new_variants(), catalog_examine_reworded(),
    catalog_examine_new();
"""


class Migration(migrations.Migration):

    replaces = [
        ('catalog', '0001_products_variants_offers'),
        ('catalog', '0002_waiting_texts'),
        ('catalog', '0003_journal_dry_runs_and_roll_backs'),
        ('catalog', '0004_reservations'),
        ('catalog', '0005_fetched_feeds_dated_sales_and_price_history'),
        ('catalog', '0006_photographs_by_address'),
        ('catalog', '0007_marked_texts'),
        ('catalog', '0008_description_drafts'),
        ('catalog', '0009_words_of_photographs_gone'),
        ('catalog', '0010_failed_examinations'),
        ('catalog', '0011_changes_by_group'),
        ('catalog', '0012_attempts_of_imports'),
        ('catalog', '0013_slugs_in_any_script'),
        ('catalog', '0014_former_slugs_and_longer_paths'),
        ('catalog', '0015_slugs_by_path'),
    ]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ('identity', '0001_squashed_0003_access_tokens'),
    ]

    operations = [
        VectorExtension(),
        CreateModels(
            models=[
                migrations.CreateModel(
                    name='Category',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('slug', models.CharField(help_text='slug_of its names', max_length=160, unique=True)),
                        ('name', models.CharField(max_length=120)),
                        ('path', models.CharField(help_text='names from the root, joined by “ > ”', max_length=620)),
                        ('parent', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='children', to='catalog.category')),
                        ('former_slug', models.CharField(help_text='what old addresses call it', max_length=160, null=True, unique=True)),
                    ],
                    options={
                        'verbose_name_plural': 'categories',
                        'ordering': ['path'],
                    },
                ),
                migrations.CreateModel(
                    name='FeedImport',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('filename', models.CharField(max_length=200)),
                        ('file', models.FileField(max_length=200, upload_to='feeds/')),
                        ('format', models.CharField(choices=[('csv', 'CSV'), ('tsv', 'TSV'), ('jsonl', 'JSON Lines')], max_length=5)),
                        ('size', models.BigIntegerField(help_text='bytes as uploaded')),
                        ('status', models.CharField(choices=[('waiting', 'Waiting'), ('running', 'Importing'), ('done', 'Done'), ('failed', 'Failed'), ('undoing', 'Being rolled back'), ('undone', 'Rolled back')], default='waiting', max_length=7)),
                        ('lines_read', models.PositiveBigIntegerField(default=0, help_text='where a restart goes on')),
                        ('bytes_read', models.BigIntegerField(default=0, help_text='of the file as uploaded, for the progress bar')),
                        ('accepted', models.PositiveIntegerField(default=0, help_text='new items')),
                        ('changed', models.PositiveIntegerField(default=0)),
                        ('unchanged', models.PositiveIntegerField(default=0)),
                        ('refused', models.PositiveIntegerField(default=0)),
                        ('error', models.TextField(blank=True, help_text='why the whole import failed')),
                        ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('touched_at', models.DateTimeField(default=agentstore.kit.clock.now, help_text='when work on it last went on')),
                        ('ended_at', models.DateTimeField(blank=True, null=True)),
                        ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('merchant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='imports', to='identity.organization')),
                        ('dry_run', models.BooleanField(default=False, help_text='says what would change and changes nothing')),
                        ('kept', models.PositiveIntegerField(default=0, help_text='changes that could not be taken back whole')),
                        ('restored', models.PositiveIntegerField(default=0, help_text='changes that a roll back took back')),
                        ('undone_to', models.BigIntegerField(blank=True, help_text='where a roll back goes on', null=True)),
                        ('via', models.CharField(choices=[('upload', 'Uploaded'), ('pull', 'Fetched'), ('push', 'Pushed')], default='upload', max_length=6)),
                        ('attempts', models.PositiveSmallIntegerField(default=0, help_text='runs since it last came further')),
                    ],
                    options={
                        'ordering': ['-created_at'],
                        'indexes': [models.Index(fields=['merchant', '-created_at'], name='feed_import_by_merchant')],
                    },
                ),
                migrations.CreateModel(
                    name='FeedImportStatusChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('from_status', models.CharField(blank=True, max_length=7)),
                        ('to_status', models.CharField(max_length=7)),
                        ('reason', models.TextField(blank=True)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('feed_import', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='status_changes', to='catalog.feedimport')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='FeedItemChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('line', models.PositiveBigIntegerField()),
                        ('item_id', models.CharField(max_length=120)),
                        ('group_id', models.CharField(max_length=120)),
                        ('title', models.CharField(max_length=300)),
                        ('kind', models.CharField(choices=[('new', 'New'), ('changed', 'Changed')], max_length=7)),
                        ('before', models.JSONField(default=dict)),
                        ('after', models.JSONField(default=dict)),
                        ('undone', models.CharField(blank=True, choices=[('restored', 'Taken back'), ('kept', 'Kept in part')], max_length=8)),
                        ('note', models.CharField(blank=True, help_text='why a roll back left something', max_length=200)),
                        ('feed_import', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='catalog.feedimport')),
                    ],
                    options={
                        'ordering': ['id'],
                        'indexes': [models.Index(fields=['feed_import', 'id'], name='feed_change_in_order'), models.Index(fields=['feed_import', 'group_id'], name='feed_change_by_group')],
                    },
                ),
                migrations.CreateModel(
                    name='FeedRefusal',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('line', models.PositiveBigIntegerField(help_text="1 is the file's first line, the header included")),
                        ('item_id', models.CharField(blank=True, max_length=120)),
                        ('code', models.CharField(max_length=40)),
                        ('message', models.TextField()),
                        ('feed_import', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='refusals', to='catalog.feedimport')),
                    ],
                    options={
                        'ordering': ['line', 'id'],
                        'constraints': [models.UniqueConstraint(fields=('feed_import', 'line'), name='one_refusal_per_line')],
                    },
                ),
                migrations.CreateModel(
                    name='FeedSource',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('url', models.CharField(max_length=1000)),
                        ('format', models.CharField(blank=True, choices=[('csv', 'CSV'), ('tsv', 'TSV'), ('jsonl', 'JSON Lines')], max_length=5)),
                        ('every_hours', models.PositiveSmallIntegerField(choices=[(1, 'Every hour'), (3, 'Every three hours'), (6, 'Every six hours'), (12, 'Twice a day'), (24, 'Once a day')], default=24)),
                        ('active', models.BooleanField(default=True)),
                        ('etag', models.CharField(blank=True, max_length=200)),
                        ('last_modified', models.CharField(blank=True, max_length=60)),
                        ('due_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('failures', models.PositiveSmallIntegerField(default=0, help_text='in a row')),
                        ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('merchant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='feed_sources', to='identity.organization')),
                    ],
                    options={
                        'ordering': ['created_at'],
                        'indexes': [models.Index(condition=models.Q(('active', True)), fields=['due_at'], name='feed_source_due')],
                        'constraints': [models.UniqueConstraint(fields=('merchant', 'url'), name='one_source_per_address')],
                    },
                ),
                migrations.CreateModel(
                    name='FeedPull',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('outcome', models.CharField(choices=[('running', 'Being fetched'), ('imported', 'Imported'), ('unchanged', 'Unchanged'), ('failed', 'Failed')], default='running', max_length=9)),
                        ('message', models.CharField(blank=True, max_length=300)),
                        ('size', models.BigIntegerField(default=0, help_text='bytes')),
                        ('started_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('ended_at', models.DateTimeField(blank=True, null=True)),
                        ('feed_import', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='pulls', to='catalog.feedimport')),
                        ('source', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='pulls', to='catalog.feedsource')),
                    ],
                    options={
                        'ordering': ['-started_at', '-id'],
                    },
                ),
                migrations.CreateModel(
                    name='IndexOutbox',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('product_id', models.BigIntegerField(help_text='no key: a deleted product must leave the index too')),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                    ],
                    options={
                        'verbose_name_plural': 'index outbox',
                        'ordering': ['id'],
                    },
                ),
                migrations.CreateModel(
                    name='Product',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('group_id', models.CharField(help_text="item_group_id of the feed, or the item's own id", max_length=120)),
                        ('title', models.CharField(max_length=300)),
                        ('description', models.TextField(blank=True)),
                        ('brand', models.CharField(blank=True, max_length=120)),
                        ('attributes', models.JSONField(blank=True, default=dict)),
                        ('rating_value', models.DecimalField(blank=True, decimal_places=2, max_digits=3, null=True)),
                        ('rating_count', models.PositiveIntegerField(default=0)),
                        ('min_age', models.PositiveSmallIntegerField(default=0, help_text='years; 0 is for everyone')),
                        ('status', models.CharField(choices=[('active', 'In the catalogue'), ('withheld', 'Withheld by the store')], default='active', max_length=8)),
                        ('text_hash', models.CharField(blank=True, help_text='SHA-256 of the text that is embedded', max_length=64)),
                        ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('updated_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('category', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='products', to='catalog.category')),
                        ('owner', models.ForeignKey(help_text='the merchant whose feed describes it', on_delete=django.db.models.deletion.PROTECT, related_name='products', to='identity.organization')),
                    ],
                    options={
                        'ordering': ['id'],
                        'indexes': [models.Index(fields=['text_hash'], name='product_by_text')],
                        'constraints': [models.UniqueConstraint(fields=('owner', 'group_id'), name='one_product_per_group')],
                    },
                ),
                migrations.CreateModel(
                    name='DescriptionDraft',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('drafted', models.TextField(help_text='as it was drafted')),
                        ('text', models.TextField(blank=True, help_text='as it was published')),
                        ('before', models.TextField(blank=True, help_text='the description that it took the place of')),
                        ('fed', models.TextField(blank=True, help_text='what the feed said then; a feed that still says so leaves it')),
                        ('source', models.CharField(choices=[('template', 'From a template'), ('model', 'By a language model')], max_length=8)),
                        ('model_name', models.CharField(blank=True, max_length=120)),
                        ('note', models.CharField(blank=True, help_text='why a template was used where a model was asked', max_length=200)),
                        ('status', models.CharField(choices=[('draft', 'Draft'), ('published', 'Published'), ('discarded', 'Discarded'), ('undone', 'Taken back')], default='draft', max_length=9)),
                        ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('product', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='drafts', to='catalog.product')),
                    ],
                    options={
                        'ordering': ['-created_at', '-id'],
                        'constraints': [models.UniqueConstraint(condition=models.Q(('status', 'draft')), fields=('product',), name='one_open_draft_per_product')],
                    },
                ),
                migrations.CreateModel(
                    name='DescriptionDraftChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('from_status', models.CharField(blank=True, max_length=9)),
                        ('to_status', models.CharField(max_length=9)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('draft', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='catalog.descriptiondraft')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='MarkedText',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('field', models.CharField(help_text='as in answers: `description`, `attributes.material`', max_length=80)),
                        ('text', models.TextField(help_text='as it came, what cannot be seen included')),
                        ('kinds', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=16), default=list, size=None)),
                        ('score', models.FloatField(help_text='0 to 1')),
                        ('evidence', models.JSONField(default=list, help_text='signals with their weights, reasons and places')),
                        ('version', models.PositiveSmallIntegerField(help_text='of the detector')),
                        ('status', models.CharField(choices=[('open', 'To be decided'), ('noted', 'Marked'), ('kept', 'Kept marked'), ('cleared', 'Cleared'), ('hidden', 'Product hidden'), ('gone', 'No longer there')], max_length=7)),
                        ('hid_product', models.BooleanField(default=False, help_text='the product is withheld because of this text')),
                        ('asked_at', models.DateTimeField(blank=True, help_text='when its merchant asked for a review', null=True)),
                        ('found_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('changed_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('product', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='marked_texts', to='catalog.product')),
                    ],
                    options={
                        'ordering': ['-changed_at', '-id'],
                        'indexes': [models.Index(fields=['status', '-changed_at'], name='marked_text_by_status')],
                        'constraints': [models.UniqueConstraint(fields=('product', 'field'), name='one_mark_per_field')],
                    },
                ),
                migrations.CreateModel(
                    name='MarkedTextChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('from_status', models.CharField(blank=True, max_length=7)),
                        ('to_status', models.CharField(choices=[('open', 'To be decided'), ('noted', 'Marked'), ('kept', 'Kept marked'), ('cleared', 'Cleared'), ('hidden', 'Product hidden'), ('gone', 'No longer there')], max_length=7)),
                        ('reason', models.TextField(blank=True)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('marked_text', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='catalog.markedtext')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='Media',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('path', models.CharField(help_text="below MEDIA_ROOT; named by its content's SHA-256", max_length=120)),
                        ('alt', models.CharField(blank=True, max_length=300)),
                        ('position', models.PositiveSmallIntegerField(default=0)),
                        ('width', models.PositiveIntegerField(help_text='pixels')),
                        ('height', models.PositiveIntegerField(help_text='pixels')),
                        ('product', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='media', to='catalog.product')),
                    ],
                    options={
                        'verbose_name_plural': 'media',
                        'ordering': ['position', 'id'],
                        'constraints': [models.UniqueConstraint(fields=('product', 'path'), name='one_photograph_each')],
                    },
                ),
                migrations.CreateModel(
                    name='PhotoLink',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('url', models.CharField(max_length=2000)),
                        ('position', models.PositiveSmallIntegerField(default=0)),
                        ('status', models.CharField(choices=[('waiting', 'Waiting to be fetched'), ('done', 'In the store'), ('failed', 'Failed')], default='waiting', max_length=7)),
                        ('message', models.CharField(blank=True, help_text='why not', max_length=200)),
                        ('attempts', models.PositiveSmallIntegerField(default=0)),
                        ('due_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('media', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='links', to='catalog.media')),
                        ('product', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='photo_links', to='catalog.product')),
                    ],
                    options={
                        'ordering': ['position', 'id'],
                        'indexes': [models.Index(condition=models.Q(('status', 'waiting')), fields=['due_at'], name='photo_link_due')],
                        'constraints': [models.UniqueConstraint(fields=('product', 'url'), name='one_link_per_address')],
                    },
                ),
                migrations.CreateModel(
                    name='ProductStatusChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('from_status', models.CharField(max_length=8)),
                        ('to_status', models.CharField(max_length=8)),
                        ('reason', models.TextField()),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('product', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='status_changes', to='catalog.product')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='TextEmbedding',
                    fields=[
                        ('text_hash', models.CharField(max_length=64, primary_key=True, serialize=False)),
                        ('vector', pgvector.django.halfvec.HalfVectorField(dimensions=384)),
                        ('computed_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('key', models.BigIntegerField(help_text='60 bits of the hash, as the full-text index has it', unique=True)),
                    ],
                    options={
                        'indexes': [pgvector.django.indexes.HnswIndex(ef_construction=200, fields=['vector'], m=16, name='text_embedding_hnsw', opclasses=['halfvec_cosine_ops'])],
                    },
                ),
                migrations.CreateModel(
                    name='TextExamination',
                    fields=[
                        ('product', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='examination', serialize=False, to='catalog.product')),
                        ('version', models.PositiveSmallIntegerField(default=0)),
                        ('failure', models.CharField(blank=True, db_default='', help_text='why that version could not examine it', max_length=300)),
                    ],
                    options={
                        'indexes': [models.Index(fields=['version', 'product'], name='examination_due'), models.Index(condition=models.Q(('failure', ''), _negated=True), fields=['product'], name='examination_failed')],
                    },
                ),
                migrations.CreateModel(
                    name='Variant',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('item_id', models.CharField(help_text="the feed's id", max_length=120)),
                        ('sku', models.CharField(blank=True, max_length=120)),
                        ('gtin', models.CharField(blank=True, help_text='GS1: 8, 12, 13 or 14 digits', max_length=14)),
                        ('title', models.CharField(blank=True, help_text='its options in words; empty for the only one', max_length=300)),
                        ('options', models.JSONField(blank=True, default=dict, help_text='such as colour and size, name to value')),
                        ('owner', models.ForeignKey(help_text="the product's owner, kept here so that item ids are unique within a merchant", on_delete=django.db.models.deletion.PROTECT, related_name='+', to='identity.organization')),
                        ('product', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='variants', to='catalog.product')),
                        ('measure', models.DecimalField(blank=True, decimal_places=6, help_text='what a package holds', max_digits=14, null=True)),
                        ('measure_base', models.DecimalField(blank=True, decimal_places=6, help_text='per how much its price is compared', max_digits=14, null=True)),
                        ('measure_unit', models.CharField(blank=True, help_text='of both', max_length=5)),
                    ],
                    options={
                        'ordering': ['id'],
                        'indexes': [models.Index(condition=models.Q(('gtin', ''), _negated=True), fields=['gtin'], name='variant_by_gtin'), models.Index(condition=models.Q(('sku', ''), _negated=True), fields=['sku'], name='variant_by_sku')],
                        'constraints': [models.UniqueConstraint(fields=('owner', 'item_id'), name='one_variant_per_item')],
                    },
                ),
                migrations.CreateModel(
                    name='Offer',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('price_micros', models.BigIntegerField(help_text="asked now; within a minute of a dated sale's edges")),
                        ('list_price_micros', models.BigIntegerField(blank=True, help_text='before the sale, if on sale', null=True)),
                        ('currency', models.CharField(max_length=3)),
                        ('ships_to', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=2), blank=True, default=list, help_text='ISO 3166-1; none: everywhere', size=None)),
                        ('valid_from', models.DateTimeField(blank=True, null=True)),
                        ('valid_to', models.DateTimeField(blank=True, null=True)),
                        ('active', models.BooleanField(default=True)),
                        ('updated_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('merchant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='offers', to='identity.organization')),
                        ('variant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='offers', to='catalog.variant')),
                        ('on_hand', models.IntegerField(default=0, help_text='what the merchant has, as it says')),
                        ('reserved', models.IntegerField(default=0, help_text='held by checkouts that are not paid yet')),
                        ('stock', models.GeneratedField(db_persist=True, expression=django.db.models.functions.comparison.Greatest(django.db.models.expressions.CombinedExpression(models.F('on_hand'), '-', models.F('reserved')), models.Value(0)), output_field=models.IntegerField())),
                        ('regular_micros', models.BigIntegerField(blank=True, help_text='outside a dated sale', null=True)),
                        ('sale_from', models.DateTimeField(blank=True, null=True)),
                        ('sale_micros', models.BigIntegerField(blank=True, help_text='in a dated sale, None without one', null=True)),
                        ('sale_to', models.DateTimeField(blank=True, null=True)),
                    ],
                    options={
                        'ordering': ['id'],
                        'indexes': [models.Index(fields=['merchant', 'stock'], name='offer_by_merchant_stock'), models.Index(condition=models.Q(('sale_micros__isnull', False)), fields=['sale_from'], name='offer_with_dated_sale')],
                        'constraints': [models.UniqueConstraint(fields=('variant', 'merchant'), name='one_offer_per_merchant'), models.CheckConstraint(condition=models.Q(('price_micros__gt', 0)), name='price_above_zero'), models.CheckConstraint(condition=models.Q(('list_price_micros__isnull', True), ('list_price_micros__gt', models.F('price_micros')), _connector='OR'), name='list_price_above_price'), models.CheckConstraint(condition=models.Q(('on_hand__gte', 0)), name='on_hand_not_negative'), models.CheckConstraint(condition=models.Q(('reserved__gte', 0)), name='reserved_not_negative'), models.CheckConstraint(condition=models.Q(models.Q(('regular_micros__isnull', True), ('sale_from__isnull', True), ('sale_micros__isnull', True), ('sale_to__isnull', True)), models.Q(('regular_micros__gt', models.F('sale_micros')), ('sale_from__lt', models.F('sale_to')), ('sale_micros__gt', 0)), _connector='OR'), name='dated_sale_is_whole')],
                    },
                ),
                migrations.CreateModel(
                    name='OfferChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('price_micros', models.BigIntegerField()),
                        ('list_price_micros', models.BigIntegerField(null=True)),
                        ('stock', models.IntegerField()),
                        ('active', models.BooleanField()),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('offer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='catalog.offer')),
                    ],
                    options={
                        'ordering': ['-at', '-id'],
                    },
                ),
                migrations.CreateModel(
                    name='PricePoint',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('price_micros', models.BigIntegerField()),
                        ('list_price_micros', models.BigIntegerField(null=True)),
                        ('at', models.DateTimeField()),
                        ('offer', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='price_points', to='catalog.offer')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                        'indexes': [models.Index(fields=['offer', 'at'], name='price_point_in_order')],
                    },
                ),
                migrations.CreateModel(
                    name='Reservation',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('holder', models.CharField(help_text='an opaque reference, as `checkout:<uuid>`', max_length=80)),
                        ('quantity', models.PositiveIntegerField()),
                        ('status', models.CharField(choices=[('held', 'Held'), ('bought', 'Bought'), ('released', 'Released')], default='held', max_length=8)),
                        ('held_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('held_until', models.DateTimeField(help_text='when its holder will give it up; the holder does so')),
                        ('ended_at', models.DateTimeField(blank=True, null=True)),
                        ('offer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='reservations', to='catalog.offer')),
                    ],
                    options={
                        'ordering': ['id'],
                        'constraints': [models.UniqueConstraint(fields=('holder', 'offer'), name='one_reservation_per_offer'), models.CheckConstraint(condition=models.Q(('quantity__gt', 0)), name='reservation_of_something')],
                    },
                ),
                migrations.CreateModel(
                    name='WaitingText',
                    fields=[
                        ('text_hash', models.CharField(max_length=64, primary_key=True, serialize=False)),
                    ],
                ),
            ],
        ),
        migrations.RunSQL(NOTE_PRICES, FORGET_PRICES),
        migrations.RunSQL(EXAMINE_TEXTS, FORGET_TEXTS),
    ]
