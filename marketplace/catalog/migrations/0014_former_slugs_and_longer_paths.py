from django.db import migrations, models
from django.db.models.functions import Left


def cut_paths(apps, schema_editor):
    """Bring paths back to what their column held."""
    apps.get_model("catalog", "Category").objects.update(path=Left("path", 400))


class Migration(migrations.Migration):
    dependencies = [("catalog", "0013_slugs_in_any_script")]

    operations = [
        migrations.AlterField(
            "category", "slug", models.CharField(help_text="slug_of its names", max_length=160, unique=True)
        ),
        migrations.AddField(
            "category", "former_slug",
            models.CharField(help_text="what old addresses call it", max_length=160, null=True, unique=True),
        ),
        migrations.AlterField(
            "category", "path",
            models.CharField(help_text="names from the root, joined by “ > ”", max_length=620),
        ),
        migrations.RunPython(migrations.RunPython.noop, cut_paths),
    ]  # fmt: skip
