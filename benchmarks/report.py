"""How every benchmark reports: the machine, its inputs, and each figure with its goal."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import psutil


@dataclass(frozen=True)
class Result:
    """One figure; `goal` is what DESIGN or the docs promise, None where nothing is promised."""

    name: str
    value: float
    unit: str
    better: Literal["lower", "higher"]
    goal: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.better == "higher" else self.value <= self.goal


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of them lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def machine() -> dict[str, Any]:
    """Where the figures come from."""
    return {
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }


def parser(description: str) -> argparse.ArgumentParser:
    """The flags that all benchmarks have."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--quick", action="store_true", help="smaller inputs, under 60 seconds")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    return made


@dataclass
class Report:
    """Figures as they come in, printed at the end."""

    inputs: dict[str, Any]
    results: list[Result] = field(default_factory=list)

    def add(self, name: str, value: float, unit: str, better: str, goal: float | None = None) -> None:
        """Add one figure."""
        self.results.append(
            Result(name, round(value, 3), unit, "higher" if better == "higher" else "lower", goal)
        )

    def spread(self, name: str, spent: Sequence[float], goal: float | None = None) -> None:
        """Median and 95th percentile of milliseconds; the goal is the latter's."""
        self.add(f"{name}, p50", statistics.median(spent), "ms", "lower")
        self.add(f"{name}, p95", percentile(spent, 0.95), "ms", "lower", goal)

    def show(self, *, as_json: bool) -> None:
        """Print it for people, or as JSON."""
        if as_json:
            results = [{**asdict(result), "met": result.met} for result in self.results]
            print(json.dumps({"machine": machine(), "inputs": self.inputs, "results": results}, indent=1))
            return
        print("machine:", ", ".join(f"{name} {value}" for name, value in machine().items()))
        print("inputs:", ", ".join(f"{name} {value}" for name, value in self.inputs.items()))
        for result in self.results:
            verdict = (
                ""
                if result.goal is None
                else f"  (goal {result.goal:g}: {'met' if result.met else 'NOT met'})"
            )
            print(f"{result.name:<44} {result.value:>12,.3f} {result.unit}{verdict}")
