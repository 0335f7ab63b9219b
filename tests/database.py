"""The database of a test run, for processes that a test starts beside itself."""

from __future__ import annotations

from urllib.parse import quote

from django.db import connection


def database_url() -> str:
    """Its address, password included, as DATABASE_URL takes it."""
    settings = {name: quote(str(value), safe="") for name, value in connection.settings_dict.items() if value}
    password = f":{settings['PASSWORD']}" if "PASSWORD" in settings else ""
    return f"postgres://{settings['USER']}{password}@{settings['HOST']}:{settings['PORT']}/{settings['NAME']}"
