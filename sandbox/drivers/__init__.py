"""Which driver runs sandboxes here: chosen once per process, proven before it is used."""

from __future__ import annotations

import threading

import structlog
from django.conf import settings

from sandbox.driver import Driver, DriverError, NoDriver
from sandbox.drivers.docker import DockerDriver

log = structlog.get_logger(__name__)
# In the order in which "auto" tries them.
_DRIVERS: dict[str, type[Driver]] = {"docker": DockerDriver}
_lock = threading.Lock()
_chosen: list[Driver] = []


def chosen_driver() -> Driver:
    """The driver of this process, with its isolation proven by a run from inside.

    SANDBOX_DRIVER names one, or is "auto". Raises NoDriver when none is proven: third-party agents are then
    refused, for there is no fallback to a plain process.
    """
    with _lock:
        if not _chosen:
            _chosen.append(_choose())
        return _chosen[0]


def _choose() -> Driver:
    from sandbox.proof import prove

    wanted = settings.SANDBOX_DRIVER
    names = list(_DRIVERS) if wanted == "auto" else [wanted]
    reasons = []
    for name in names:
        try:
            driver = make_driver(name)
            broken = [finding for finding in prove(driver) if not finding.kept]
        except (DriverError, NoDriver) as away:
            reasons.append(f"{name}: {away.message}")
            continue
        if not broken:
            log.info("sandbox.driver", driver=name)
            return driver
        reasons.append(f"{name}: " + "; ".join(f"{f.name}: {f.detail}" for f in broken))
    raise NoDriver(
        f"Nothing here can run agents safely ({' | '.join(reasons):.400}).",
        hint="`manage.py sandbox_doctor` says what to do.",
    )


def make_driver(name: str) -> Driver:
    """A driver by name, unproven. Raises NoDriver for an unknown name, DriverError when its engine is
    away.
    """
    try:
        return _DRIVERS[name]()
    except KeyError:
        raise NoDriver(
            f"There is no sandbox driver {name!r}.", hint=f"Use one of {list(_DRIVERS)}."
        ) from None
