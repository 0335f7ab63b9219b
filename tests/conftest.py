import pytest
import time_machine
from django.db import connection
from hypothesis import HealthCheck, settings

from agentstore.kit.clock import now
from tests.database import empty_quickly, may_ignore_triggers

# How fast a machine makes examples says nothing of the code.
settings.register_profile("store", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("store")

pytest_plugins = [
    "tests.cast",
    "tests.stack",
    "tests.look.browser",
    "tests.web",
    "tests.sandbox.drivers",
]


@pytest.fixture
def whole_minute():
    """Calls are counted by the minute: here one has just begun."""
    with time_machine.travel(now().replace(second=0, microsecond=0), tick=True):
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Makes it quick to empty the database after a test with transactions; the ledger refuses TRUNCATE."""
    if connection.settings_dict["NAME"] != connection.settings_dict["TEST"]["NAME"]:
        return  # no test of this run uses the database, so none was made
    with django_db_blocker.unblock():
        if may_ignore_triggers():
            empty_quickly()
            return
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        for table in ("account", "journal", "entry", "dailyclose"):
            cursor.execute(f"ALTER TABLE billing_{table} DISABLE TRIGGER billing_{table}_no_truncate")
