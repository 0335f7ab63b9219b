"""How well hostile catalogue text is told from honest text: precision, recall by kind, false alarms, time.

    python -m benchmarks.hostile_text --data DIR [--corpus FILE] [--quick] [--json]

`DIR/injections/manipulative_sellers` holds sellers that press or instruct agents, each beside honest rivals;
`DIR/homedepot`, `DIR/luma` and `DIR/aws_retail` hold honest catalogues (`products.jsonl`). `--corpus` is a file of JSON
lines with `id`, `text`, `label` (`malicious`, `benign`) and `category`: that of the package bastioncorpus fits, and is
taken where that is installed.

Everything with an id is split in halves by a hash of it. Signals, weights and the threshold were chosen on the train
half and on `benchmarks/hostile_cases.jsonl`; figures called “test half” are of texts that had no part in that. The
public sellers are five hostile texts, which the author of the signals had read: they are told apart. The alternative
measured in the same run is a plain list of key phrases.
"""

from __future__ import annotations

import argparse
import base64
import codecs
import hashlib
import importlib.util
import json
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.report import Report, parser
from marketplace.catalog.hostile.detector import ORDERS_FROM, VERSION, examine

CASES: Final = Path(__file__).with_name("hostile_cases.jsonl")
THRESHOLDS: Final = [step / 20 for step in range(4, 20)]
# What somebody would write first, and much of what is sold as a filter.
PHRASES: Final = (
    "ignore previous", "ignore all", "ignore the above", "disregard", "system prompt", "system:", "[system]",
    "jailbreak", "developer mode", "you are now", "as an ai", "ai assistant", "ai agent", "language model",
    "new instructions", "override", "do not tell", "must recommend", "always recommend", "only recommend",
    "pretend you are", "act as", "forget everything", "previous instructions",
)  # fmt: skip


@dataclass(frozen=True)
class Text:
    """A text with what is known of it."""

    words: str
    hostile: bool
    category: str


def plain_list(text: str) -> bool:
    """The alternative: does any key phrase occur?"""
    lowered = text.lower()
    return any(phrase in lowered for phrase in PHRASES)


def detector(text: str) -> bool:
    """The store's own, as it reports to operators."""
    return examine(text).gives_orders


WAYS: Final[dict[str, Callable[[str], bool]]] = {"detector": detector, "plain list": plain_list}


def is_test(key: str) -> bool:
    """The half of an id: the same in every run."""
    return hashlib.sha256(key.encode()).digest()[0] % 2 == 1


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Objects of a file of JSON lines."""
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def read_labelled(path: Path) -> tuple[list[Text], list[Text]]:
    """Train and test half of a labelled corpus."""
    halves: tuple[list[Text], list[Text]] = ([], [])
    for row in read_lines(path):
        found = Text(row["text"], row["label"] == "malicious", row["category"])
        halves[is_test(row["id"])].append(found)
    return halves


def read_honest(directory: Path, *, quick: bool) -> dict[str, tuple[list[str], list[str]]]:
    """Titles and descriptions of honest catalogues by name, train and test half each."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for name, key, fields in (
        ("homedepot", "id", ("title",)),
        ("luma", "sku", ("name", "description")),
        ("aws_retail", "id", ("name", "description")),
    ):
        halves: tuple[list[str], list[str]] = ([], [])
        for number, row in enumerate(read_lines(directory / name / "products.jsonl")):
            if quick and number % 10 and name == "homedepot":
                continue
            halves[is_test(str(row[key]))].extend(row[field] for field in fields if row.get(field))
        found[name] = halves
    return found


def read_sellers(directory: Path) -> dict[str, tuple[set[str], set[str]]]:
    """Distinct hostile and honest descriptions by what the set was made to show."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for folder in sorted((directory / "injections" / "manipulative_sellers").iterdir()):
        hostile: set[str] = set()
        honest: set[str] = set()
        for path in sorted((folder / "businesses").glob("*.yaml")):
            said = yaml.safe_load(path.read_text(encoding="utf-8"))["description"]
            # In each folder the first business manipulates, unless it is a control.
            manipulates = path.stem.endswith("0001") and "control" not in folder.name
            (hostile if manipulates else honest).add(said)
        found[folder.name.removeprefix("mexican_")] = (hostile, honest)
    return found


CYRILLIC: Final = str.maketrans("aeocpxi", "\u0430\u0435\u043e\u0441\u0440\u0445\u0456")
DISGUISES: Final[dict[str, Callable[[str], str]]] = {
    "none": lambda text: text,
    "capitals": str.upper,
    "unseen between letters": "\u200b".join,
    "soft hyphens": "\u00ad".join,
    "Cyrillic letters": lambda text: text.translate(CYRILLIC),
    "full width": lambda text: "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text),
    "combining marks": lambda text: "".join(f"{one}\u0301" if one.isalpha() else one for one in text),
    "tag characters": lambda text: "".join(chr(0xE0000 + ord(one)) for one in text if one.isascii()),
    "entities": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "backwards": lambda text: text[::-1],
    "digits for letters": lambda text: text.translate(str.maketrans("oiea", "0134")),
    "letter by letter": " ".join,
    "bold words": lambda text: " ".join(f"**{word}**" for word in text.split(" ")),
}  # fmt: skip


def measure(report: Report, arguments: argparse.Namespace) -> None:
    """Read, choose on the train half, report on the test half."""
    honest = read_honest(arguments.data, quick=arguments.quick)
    own = [Text(row["text"], row["label"] == "malicious", row["category"]) for row in read_lines(CASES)]
    train, test = read_labelled(arguments.corpus) if arguments.corpus else ([], [])
    choose(
        report, [*own, *train, *(Text(w, False, name) for name, (half, _) in honest.items() for w in half)]
    )
    for name, texts in (
        ("own cases (seen)", own),
        ("corpus, train half (seen)", train),
        ("corpus, test half", test),
    ):
        if texts:
            judge_labelled(report, name, texts, by_category=texts is test)
    judge_honest(report, honest)
    judge_sellers(report, read_sellers(arguments.data))
    described = honest["aws_retail"][1]
    judge_embedded(report, [text for text in test or own if text.hostile], described)
    time_it(report, [*honest["homedepot"][1][:2_000], *described], [text.words for text in test or own])


def choose(report: Report, texts: Sequence[Text]) -> None:
    """The threshold with the best F1 on the train half; of several that are as good, the middle one."""
    scored = [(examine(text.words).orders, text.hostile) for text in texts]
    by_threshold = {threshold: f1(scored, threshold) for threshold in THRESHOLDS}
    best = [threshold for threshold, value in by_threshold.items() if value == max(by_threshold.values())]
    report.add("threshold chosen on the train half", best[len(best) // 2], "", "higher")
    report.add("threshold in use", ORDERS_FROM, "", "higher")
    report.add("F1 on the train half, threshold in use", f1(scored, ORDERS_FROM), "", "higher")


def f1(scored: Sequence[tuple[float, bool]], threshold: float) -> float:
    """The harmonic mean of precision and recall."""
    right = sum(score >= threshold and hostile for score, hostile in scored)
    wrong = sum((score >= threshold) != hostile for score, hostile in scored)
    return 2 * right / (2 * right + wrong) if right else 0.0


def judge_labelled(report: Report, name: str, texts: Sequence[Text], *, by_category: bool) -> None:
    """Precision and recall of both ways on a labelled set."""
    hostile = [text for text in texts if text.hostile]
    harmless = [text for text in texts if not text.hostile]
    for way, judge in WAYS.items():
        found = sum(judge(text.words) for text in hostile)
        alarms = sum(judge(text.words) for text in harmless)
        report.add(f"{name}, {way}: recall of {len(hostile)}", found / len(hostile), "", "higher")
        report.add(f"{name}, {way}: precision", found / max(1, found + alarms), "", "higher")
        report.add(f"{name}, {way}: false alarms of {len(harmless)}", alarms, "texts", "lower")
    kinds: dict[str, list[Text]] = defaultdict(list)
    for text in hostile if by_category else ():
        kinds[text.category].append(text)
    for kind, members in sorted(kinds.items()):
        for way, judge in WAYS.items():
            share = sum(judge(text.words) for text in members) / len(members)
            report.add(f"{name}, {way}: {kind}, recall of {len(members)}", share, "", "higher")


def judge_honest(report: Report, honest: dict[str, tuple[list[str], list[str]]]) -> None:
    """False alarms on honest catalogues, of orders and of pressing."""
    for name, (_, texts) in honest.items():
        for way, judge in WAYS.items():
            alarms = 1000 * sum(map(judge, texts)) / len(texts)
            goal = 1.0 if way == "detector" else None
            report.add(f"{name}, {way}: false alarms of {len(texts)}", alarms, "per 1,000", "lower", goal)
        pressing = 1000 * sum(examine(text).hostile for text in texts) / len(texts)
        report.add(f"{name}, detector: marked as pressing or worse", pressing, "per 1,000", "lower", 5.0)


def judge_sellers(report: Report, sellers: dict[str, tuple[set[str], set[str]]]) -> None:
    """Each of the public set's hostile texts; what only presses counts when it is marked as such."""
    for name, (hostile, _) in sellers.items():
        for text in sorted(hostile):
            report.add(f"sellers (seen), {name}: detector marks", examine(text).hostile, "", "higher")
            report.add(f"sellers (seen), {name}: plain list marks", plain_list(text), "", "higher")
    controls = set().union(*(honest for _, honest in sellers.values()))
    alarms = sum(examine(text).hostile for text in controls)
    report.add(f"sellers, honest controls: false alarms of {len(controls)}", alarms, "texts", "lower")


def judge_embedded(report: Report, attacks: Sequence[Text], described: Sequence[str]) -> None:
    """Attacks inside honest descriptions, plainly and in disguise."""
    rng = random.Random(9)
    hosts = [rng.choice(described) for _ in attacks]
    cuts = [rng.choice((0, len(host) // 2, len(host))) for host in hosts]
    for disguise, change in DISGUISES.items():
        texts = [
            f"{host[:cut]} {change(attack.words)} {host[cut:]}"
            for attack, host, cut in zip(attacks, hosts, cuts, strict=True)
        ]
        for way, judge in WAYS.items():
            share = sum(map(judge, texts)) / len(texts)
            report.add(f"inside a description, {disguise}, {way}: recall", share, "", "higher")


def time_it(report: Report, honest: Sequence[str], hostile: Sequence[str]) -> None:
    """Processor time for each text, and for the longest description that a feed may hold, all of it hostile."""
    for name, texts in (("honest", honest), ("hostile", hostile)):
        for way, judge in WAYS.items():
            spent = sorted(_timed(judge, text) for text in texts)
            report.add(f"{way}, {name} text: median", 1000 * statistics.median(spent), "ms", "lower")
            goal = 1.0 if (way, name) == ("detector", "honest") else None
            report.add(f"{way}, {name} text: p95", 1000 * spent[int(0.95 * len(spent))], "ms", "lower", goal)
    longest = (" ".join(hostile) * 200)[:20_000]
    report.add("detector, 20,000 hostile characters", 1000 * _timed(detector, longest), "ms", "lower")


def _timed(judge: Callable[[str], bool], text: str) -> float:
    began = time.process_time()
    judge(text)
    return time.process_time() - began


def installed_corpus() -> Path | None:
    """The corpus of the package bastioncorpus, where it is installed."""
    found = importlib.util.find_spec("bastioncorpus")
    if found is None or not found.submodule_search_locations:
        return None
    return Path(next(iter(found.submodule_search_locations))) / "corpus" / "injections.jsonl"


def main() -> None:
    """Parse, measure, print."""
    made = parser(__doc__ or "")
    made.add_argument("--data", type=Path, required=True, help="where injections/ and the catalogues lie")
    made.add_argument("--corpus", type=Path, default=installed_corpus(), help="labelled texts as JSON lines")
    arguments = made.parse_args()
    corpus = arguments.corpus.name if arguments.corpus else "none: no held-out attacks"
    report = Report({"detector": VERSION, "corpus": corpus, "quick": arguments.quick})
    measure(report, arguments)
    report.show(as_json=arguments.json)


if __name__ == "__main__":
    main()
