"""How good the store's order is, against two obvious ones, in a simulated market; and how fast it is fitted.

    python -m benchmarks.ranking [--quick] [--json]

Agents have true rates per category; shoppers look at positions by the same curve that the store assumes, and
popular places are not the best ones. After each week every method orders the agents from what it saw. The
figure is the share of the best possible conversions in the top five that the order would bring. Needs no
database.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from benchmarks.report import Report, parser
from marketplace.ranking.examination import examination
from marketplace.ranking.likelihood import fit_parameters
from marketplace.ranking.posterior import Parameters, Tally, in_category

CATEGORIES = {"electronics": 0.6, "fashion": 1.5, "grocery": 2.2, "garden": 0.4}
TOP = 5


@dataclass(frozen=True)
class Market:
    """Who is how good at what, and what was counted: looks as shown, looks as examined, conversions."""

    truth: Mapping[UUID, Mapping[str, float]]
    shown: Mapping[UUID, Mapping[str, int]]
    tallies: Mapping[UUID, Mapping[str, Tally]]


def simulate(agents: int, seed: int) -> Market:
    """Agents of very different ages, shown at places that have little to do with how good they are."""
    dice = random.Random(seed)
    truth: dict[UUID, dict[str, float]] = {}
    shown: dict[UUID, dict[str, int]] = {}
    tallies: dict[UUID, dict[str, Tally]] = {}
    for _ in range(agents):
        agent = UUID(int=dice.getrandbits(128))
        rate = dice.gammavariate(4, 0.03 / 4)
        truth[agent], shown[agent], tallies[agent] = {}, {}, {}
        for category, multiple in CATEGORIES.items():
            own = min(dice.gammavariate(60, 1 / 60) * rate * multiple, 1.0)
            truth[agent][category] = own
            looks = int(10 ** dice.uniform(0.5, 3.7))
            position = dice.randint(1, 20)
            examined = looks * examination(position)
            chance = own * examination(position)
            hits = sum(dice.random() < chance for _ in range(looks))
            shown[agent][category] = looks
            tallies[agent][category] = Tally(float(hits), examined)
    return Market(truth, shown, tallies)


def quality(market: Market, score: Callable[[UUID, str], float]) -> float:
    """Mean over categories of the top five's true conversions over those of the best five."""
    weights = [examination(position) for position in range(1, TOP + 1)]

    def worth(order: list[UUID], category: str) -> float:
        return sum(w * market.truth[a][category] for w, a in zip(weights, order, strict=False))

    shares = []
    for category in CATEGORIES:
        ours = sorted(market.truth, key=lambda a: -score(a, category))
        best = sorted(market.truth, key=lambda a: -market.truth[a][category])
        shares.append(worth(ours, category) / worth(best, category))
    return statistics.mean(shares)


def raw_rate(market: Market) -> Callable[[UUID, str], float]:
    """Conversions over exposures in the category."""
    return lambda a, c: market.tallies[a][c].conversions / max(market.shown[a][c], 1)


def most_sold(market: Market) -> Callable[[UUID, str], float]:
    """Conversions in the category."""
    return lambda a, c: market.tallies[a][c].conversions


def store_order(market: Market) -> Callable[[UUID, str], float]:
    """docs/algorithms/ranking.md."""
    parameters: Parameters = fit_parameters(market.tallies)[0]
    return lambda a, c: in_category(market.tallies[a], c, parameters).mean


def main() -> None:
    """Simulate, order, compare."""
    arguments = parser(__doc__ or "").parse_args()
    agents, markets = (60, 5) if arguments.quick else (200, 20)
    report = Report({"agents": agents, "markets": markets, "categories": len(CATEGORIES)})
    found: dict[str, list[float]] = {"store": [], "raw rate": [], "most sold": []}
    seconds = []
    for seed in range(markets):
        market = simulate(agents, seed)
        start = time.perf_counter()
        order = store_order(market)
        seconds.append(time.perf_counter() - start)
        found["store"].append(quality(market, order))
        found["raw rate"].append(quality(market, raw_rate(market)))
        found["most sold"].append(quality(market, most_sold(market)))
    middle = {name: statistics.median(values) for name, values in found.items()}
    report.add("of the best order: the store's", 100 * middle["store"], "%", "higher")
    report.add("of the best order: raw rate", 100 * middle["raw rate"], "%", "higher")
    report.add("of the best order: most sold", 100 * middle["most sold"], "%", "higher")
    report.add(
        "the store's over the better of both",
        middle["store"] / max(middle["raw rate"], middle["most sold"]),
        "times",
        "higher",
        1.0,
    )
    report.add("fitting all agents, median", 1000 * statistics.median(seconds), "ms", "lower")
    report.show(as_json=arguments.json)


if __name__ == "__main__":
    main()
