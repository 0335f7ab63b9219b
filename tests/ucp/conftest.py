import pytest

from marketplace.shopping.ucp import discovery
from tests.catalog.conftest import data_dir, index, load, offer  # noqa: F401  (fixtures are found by name)
from tests.orders.world import prices, processor, standin_process  # noqa: F401
from tests.ucp.receiver import receiver  # noqa: F401
from tests.ucp.world import goods, more_goods, platform, web  # noqa: F401


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A loaded machine is no platform that keeps the store waiting."""
    monkeypatch.setattr(discovery, "_WAIT_SECONDS", 30.0)
