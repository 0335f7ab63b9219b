import pytest
from django.db import connection

pytest_plugins = [
    "tests.cast",
    "tests.stack",
    "tests.look.browser",
    "tests.web",
    "tests.sandbox.drivers",
]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """The ledger refuses TRUNCATE, by which Django empties the database after tests with transactions."""
    if connection.settings_dict["NAME"] != connection.settings_dict["TEST"]["NAME"]:
        return  # no test of this run uses the database, so none was made
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        for table in ("account", "journal", "entry"):
            cursor.execute(f"ALTER TABLE billing_{table} DISABLE TRIGGER billing_{table}_no_truncate")
