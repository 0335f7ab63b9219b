from django.db import migrations, models
from django.db.models.functions import Left


def cut_categories(apps, schema_editor):
    """Bring categories back to what their column held."""
    lines = apps.get_model("shopping", "OrderLine").objects
    lines.filter(category__regex=".{61}").update(category=Left("category", 60))


class Migration(migrations.Migration):
    dependencies = [("shopping", "0013_totals_told")]

    operations = [
        migrations.AlterField("orderline", "category", models.CharField(blank=True, max_length=160)),
        migrations.RunPython(migrations.RunPython.noop, cut_categories),
    ]
