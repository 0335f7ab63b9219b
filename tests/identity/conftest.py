from __future__ import annotations

import uuid

import pytest


@pytest.fixture(autouse=True)
def fresh_rate_limits(settings):
    """Sign-up and mails are limited per address and hour; an earlier run's counts must not count here."""
    settings.CACHES = {"default": {**settings.CACHES["default"], "KEY_PREFIX": uuid.uuid4().hex}}
