"""Which driver runs sandboxes here: chosen once per process, proven before it is used."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from django.conf import settings

from sandbox.driver import Driver, DriverError, Finding, NoDriver
from sandbox.drivers.docker import DockerDriver
from sandbox.drivers.runsc import RunscDriver

log = structlog.get_logger(__name__)
# In the order in which "auto" tries them.
DRIVERS: dict[str, type[Driver]] = {"docker": DockerDriver, "runsc": RunscDriver}
NAMES = tuple(DRIVERS)
_lock = threading.Lock()
_RETRY_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Refusal:
    """A driver that was tried and not taken, and why not."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What came of the last look: the driver (empty where none is safe), those before it, what was found of it."""

    driver: str
    refused: tuple[Refusal, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def why(self) -> str:
        """A sentence for the operator."""
        if not self.refused:
            return "It is the first choice and holds."
        told = " ".join(f"{refusal.name}: {refusal.reason}" for refusal in self.refused)
        return f"Refused: {told}" if self.driver else f"None is safe here. {told}"


@dataclass
class _Look:
    """What was found for one value of SANDBOX_DRIVER, and until when a refusal is not looked at again."""

    driver: Driver | None = None
    choice: Choice | None = None
    refusal: NoDriver | None = None
    again_at: float = 0.0


_looks: dict[str, _Look] = defaultdict(_Look)


def chosen_driver() -> Driver:
    """The driver of this process, with its isolation proven by a run from inside.

    SANDBOX_DRIVER names one, or is "auto". Raises NoDriver when none is proven: third-party agents are then
    refused, for there is no fallback to a plain process. A refusal is looked at again after half a minute.
    """
    with _lock:
        look = _looks[settings.SANDBOX_DRIVER]
        if look.driver is None:
            if look.refusal is not None and time.monotonic() < look.again_at:
                raise look.refusal
            try:
                look.driver, look.choice = _choose(settings.SANDBOX_DRIVER)
            except _NoneChosen as none:
                look.refusal, look.again_at = none, time.monotonic() + _RETRY_SECONDS
                look.choice = none.choice
                raise
        return look.driver


def last_choice() -> Choice | None:
    """What this process found when it last looked for a driver; None when it has not looked yet."""
    return _looks[settings.SANDBOX_DRIVER].choice


def cleaning_driver() -> Driver:
    """A driver to end and remove with, proven or not: what must not start may still have to be stopped.

    Raises DriverError when there is none.
    """
    if (proven := _looks[settings.SANDBOX_DRIVER].driver) is not None:
        return proven
    if settings.SANDBOX_DRIVER != "auto":
        return make_driver(settings.SANDBOX_DRIVER)
    present = list(present_drivers())
    if not present:
        raise DriverError(
            "There is neither a container engine nor gVisor here.", hint="Run scripts/setup_engine.sh."
        )
    if len(present) == 1:
        return present[0]
    try:
        # Looked for in the wrong one, all sandboxes would seem to be gone.
        return chosen_driver()
    except NoDriver:
        return present[0]


def present_drivers() -> Iterator[Driver]:
    """All drivers that can be made here, unproven: another than today's may have left something."""
    for name in DRIVERS:
        try:
            yield make_driver(name)
        except DriverError:
            continue


class _NoneChosen(NoDriver):
    """NoDriver, and what it was refused for."""

    def __init__(self, choice: Choice) -> None:
        super().__init__(
            f"Nothing here can run agents safely ({choice.why:.400}).",
            hint="`manage.py sandbox_doctor` says what to do.",
        )
        self.choice = choice


def _choose(wanted: str) -> tuple[Driver, Choice]:
    from sandbox.proof import prove

    refused: list[Refusal] = []
    for name in DRIVERS if wanted == "auto" else (wanted,):
        try:
            driver = make_driver(name)
            findings = prove(driver)
        except (DriverError, NoDriver) as away:
            refused.append(Refusal(name, away.message))
            continue
        # A missing runtime refuses its own starts; it does not speak against the other.
        broken = [f for f in findings if not f.kept and not f.name.startswith("runtime_")]
        if not broken and any(f.name.endswith(": starts") for f in findings):
            choice = Choice(name, tuple(refused), tuple(findings))
            log.info("sandbox.driver", driver=name, why=choice.why, findings=len(findings))
            return driver, choice
        refused.append(Refusal(name, "; ".join(f"{f.name}: {f.detail}" for f in broken)))
    raise _NoneChosen(Choice("", tuple(refused)))


def make_driver(name: str) -> Driver:
    """A driver by name, unproven. Raises NoDriver for an unknown name, DriverError when its engine is
    away.
    """
    try:
        return DRIVERS[name]()
    except KeyError:
        raise NoDriver(f"There is no sandbox driver {name!r}.", hint=f"Use one of {list(DRIVERS)}.") from None
