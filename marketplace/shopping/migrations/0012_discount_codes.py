from django.db import migrations, models

import marketplace.shopping.models.quote


class Migration(migrations.Migration):
    dependencies = [("shopping", "0011_negotiations_and_quotes")]

    operations = [
        # Without a default first: rows that are there would all get the same code.
        migrations.AddField("quote", "code", models.CharField(max_length=30, null=True, unique=True)),
        migrations.AlterField(
            "quote",
            "code",
            models.CharField(
                default=marketplace.shopping.models.quote.new_code,
                help_text="what the shopper hands to a platform; no agent is told",
                max_length=30,
                null=True,
                unique=True,
            ),
        ),
        migrations.AddField(
            "ucpcart",
            "codes",
            models.JSONField(blank=True, db_default=[], default=list, help_text="discount codes, as they were sent"),
        ),
        migrations.AddField(
            "ucpcheckout",
            "codes",
            models.JSONField(blank=True, db_default=[], default=list, help_text="discount codes, as they were sent"),
        ),
        migrations.AddField(
            "ucpcheckout",
            "applied",
            models.JSONField(
                blank=True,
                default=list, db_default=[],
                help_text="the codes that counted when the platform was last answered",
            ),
        ),
        migrations.AlterField(
            "attribution",
            "rule",
            models.CharField(
                choices=[
                    ("card", "Bought from the agent's card"),
                    ("quote", "Bought at a price that the agent negotiated"),
                    ("same_variant", "The agent recommended it within the attribution window"),
                ],
                max_length=14,
            ),
        ),
    ]
