from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shopping", "0012_discount_codes")]

    operations = [
        migrations.AddField(
            "ucpcheckout",
            "told_minor",
            models.BigIntegerField(help_text="the total that the platform was last told", null=True),
        ),
    ]
