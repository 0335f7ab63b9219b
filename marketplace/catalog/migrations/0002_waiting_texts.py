"""Texts without a vector are a queue of their own; each vector has a number that the full-text index shares."""

from django.db import migrations, models

FILL = """
INSERT INTO catalog_waitingtext (text_hash)
SELECT DISTINCT p.text_hash FROM catalog_product p
WHERE p.status = 'active' AND p.text_hash <> ''
  AND NOT EXISTS (SELECT 1 FROM catalog_textembedding e WHERE e.text_hash = p.text_hash)
"""


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_products_variants_offers")]

    operations = [
        migrations.CreateModel(
            name="WaitingText",
            fields=[("text_hash", models.CharField(max_length=64, primary_key=True, serialize=False))],
        ),
        migrations.AddField(
            model_name="textembedding",
            name="key",
            field=models.BigIntegerField(
                null=True, help_text="60 bits of the hash, as the full-text index has it"
            ),
        ),
        migrations.RunSQL(
            "UPDATE catalog_textembedding SET key = ('x' || substr(text_hash, 1, 15))::bit(60)::bigint",
            migrations.RunSQL.noop,
        ),
        migrations.AlterField(
            model_name="textembedding",
            name="key",
            field=models.BigIntegerField(
                unique=True, help_text="60 bits of the hash, as the full-text index has it"
            ),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
