from django.db import migrations

AWAIT = """
CREATE FUNCTION catalog_examine_without_media() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_textexamination e SET version = 0 FROM old_rows o WHERE e.product_id = o.product_id AND o.alt <> '';
    RETURN NULL;
END $$;
CREATE TRIGGER catalog_media_gone AFTER DELETE ON catalog_media
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION catalog_examine_without_media();
"""
FORGET = """
DROP TRIGGER catalog_media_gone ON catalog_media;
DROP FUNCTION catalog_examine_without_media();
"""


class Migration(migrations.Migration):
    dependencies = [("catalog", "0008_description_drafts")]

    operations = [migrations.RunSQL(AWAIT, FORGET)]
