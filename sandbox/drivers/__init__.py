"""Which driver runs sandboxes here: chosen once per process, proven before it is used."""

from __future__ import annotations

import threading
import time

import structlog
from django.conf import settings

from sandbox.driver import Driver, DriverError, NoDriver
from sandbox.drivers.docker import DockerDriver

log = structlog.get_logger(__name__)
# In the order in which "auto" tries them.
_DRIVERS: dict[str, type[Driver]] = {"docker": DockerDriver}
NAMES = tuple(_DRIVERS)
_lock = threading.Lock()
_RETRY_SECONDS = 30


class _Chosen:
    """What was found, and until when a refusal is not looked at again."""

    driver: Driver | None = None
    refusal: NoDriver | None = None
    again_at = 0.0


def chosen_driver() -> Driver:
    """The driver of this process, with its isolation proven by a run from inside.

    SANDBOX_DRIVER names one, or is "auto". Raises NoDriver when none is proven: third-party agents are then
    refused, for there is no fallback to a plain process. A refusal is looked at again after half a minute.
    """
    with _lock:
        if _Chosen.driver is None:
            if _Chosen.refusal is not None and time.monotonic() < _Chosen.again_at:
                raise _Chosen.refusal
            try:
                _Chosen.driver = _choose()
            except NoDriver as refusal:
                _Chosen.refusal, _Chosen.again_at = refusal, time.monotonic() + _RETRY_SECONDS
                raise
        return _Chosen.driver


def cleaning_driver() -> Driver:
    """A driver to end and remove with, proven or not: what must not start may still have to be stopped.

    Raises DriverError when no engine answers.
    """
    if _Chosen.driver is not None:
        return _Chosen.driver
    wanted = settings.SANDBOX_DRIVER
    return make_driver(next(iter(_DRIVERS)) if wanted == "auto" else wanted)


def _choose() -> Driver:
    from sandbox.proof import prove

    wanted = settings.SANDBOX_DRIVER
    reasons = []
    for name in list(_DRIVERS) if wanted == "auto" else [wanted]:
        try:
            driver = make_driver(name)
            findings = prove(driver)
        except (DriverError, NoDriver) as away:
            reasons.append(f"{name}: {away.message}")
            continue
        # A missing runtime refuses its own starts; it does not speak against the other.
        broken = [f for f in findings if not f.kept and not f.name.startswith("runtime_")]
        if not broken and any(f.name.endswith(": starts") for f in findings):
            log.info("sandbox.driver", driver=name, findings=len(findings))
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
