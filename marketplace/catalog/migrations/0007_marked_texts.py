import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import agentstore.kit.clock

# Whoever changes a text, by whatever statement, puts its product in line for examination. These wait for an
# examination under way rather than looking at its row first: what it read may be the text of before.
AWAIT = """
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

INSERT INTO catalog_textexamination (product_id, version) SELECT id, 0 FROM catalog_product;
"""
FORGET = """
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
    dependencies = [
        ("catalog", "0006_photographs_by_address"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
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
            name='TextExamination',
            fields=[
                ('product', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='examination', serialize=False, to='catalog.product')),
                ('version', models.PositiveSmallIntegerField(default=0)),
            ],
            options={
                'indexes': [models.Index(fields=['version', 'product'], name='examination_due')],
            },
        ),
        migrations.AddIndex(
            model_name='markedtext',
            index=models.Index(fields=['status', '-changed_at'], name='marked_text_by_status'),
        ),
        migrations.AddConstraint(
            model_name='markedtext',
            constraint=models.UniqueConstraint(fields=('product', 'field'), name='one_mark_per_field'),
        ),
        migrations.RunSQL(AWAIT, FORGET),
    ]
