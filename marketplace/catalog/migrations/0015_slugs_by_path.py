from django.db import migrations

# What was longer had been cut.
_LONGEST_PATH = 400
_BATCH = 1_000


def name_by_path(apps, schema_editor):
    """Give each category the slug of its path, and the ones above it that it had to share with another path."""
    # As the code of the day says it: a category's slug is worked out anew wherever one is read.
    from marketplace.catalog.slugs import slug_of

    Category = apps.get_model("catalog", "Category")
    every = Category.objects.in_bulk()
    names = {pk: names_of(row, every) for pk, row in every.items()}
    by_slug = {row.slug: row for row in every.values()}
    changed = []
    # From the leaves: a root's new slug may be what one below it was called.
    for pk in sorted(names, key=lambda pk: -len(names[pk])):
        row, slug = every[pk], slug_of(names[pk])
        if not slug or slug in by_slug:
            continue
        del by_slug[row.slug]
        row.former_slug, row.slug, row.path = row.slug, slug, " > ".join(names[pk])
        by_slug[slug] = row
        changed.append(row)
    Category.objects.bulk_update(changed, ["slug", "former_slug", "path"], batch_size=_BATCH)
    moved = []
    for pk in sorted(names, key=lambda pk: len(names[pk])):
        row, above = every[pk], ensure_above(Category.objects, by_slug, names[pk][:-1], slug_of)
        if row.slug == slug_of(names[pk]) and row.parent_id != above:
            row.parent_id = above
            moved.append(row)
    Category.objects.bulk_update(moved, ["parent_id"], batch_size=_BATCH)


def names_of(row, every):
    if len(row.path) < _LONGEST_PATH or row.parent_id is None:
        return row.path.split(" > ")
    return [*names_of(every[row.parent_id], every), row.name]


def ensure_above(categories, by_slug, names, slug_of):
    above = None
    for depth in range(1, len(names) + 1):
        upto = names[:depth]
        slug = slug_of(upto)
        if slug not in by_slug:
            by_slug[slug] = categories.create(
                slug=slug, name=upto[-1], path=" > ".join(upto), parent_id=above
            )
        above = by_slug[slug].pk
    return above


def name_as_before(apps, schema_editor):
    """Give back the slugs that no other category has taken."""
    Category = apps.get_model("catalog", "Category")
    taken = set(Category.objects.values_list("slug", flat=True))
    for row in Category.objects.exclude(former_slug=None).order_by("pk"):
        if row.former_slug not in taken:
            row.slug, row.former_slug = row.former_slug, None
            row.save(update_fields=["slug", "former_slug"])


class Migration(migrations.Migration):
    # Apart from the columns: rows and indexes of one table do not change in one transaction.
    dependencies = [("catalog", "0014_former_slugs_and_longer_paths")]

    operations = [migrations.RunPython(name_by_path, name_as_before)]
