"""Words that mean the same: read from a file in the format that Solr and its successors use.

`couch, sofa` goes both ways, `tee => t-shirt` one way, `#` begins a comment. The store's own file stands beside the
shipped one (`SEARCH_SYNONYMS`); both are read again when they change, and the index need not be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import structlog
from django.conf import settings

log = structlog.get_logger(__name__)

Phrase = tuple[str, ...]
SHIPPED: Final = Path(__file__).with_name("synonyms.txt")
LONGEST_PHRASE: Final = 4


def read_synonyms(text: str, *, analyze: Callable[[str], Sequence[str]]) -> dict[Phrase, list[Phrase]]:
    """What may stand for what, in the index's own stems. Lines that say nothing are skipped."""
    found: dict[Phrase, list[Phrase]] = {}
    for line in text.splitlines():
        left, arrow, right = line.partition("#")[0].partition("=>")
        heads = _phrases(left, analyze)
        tails = _phrases(right, analyze) if arrow else heads
        for head in heads:
            known = found.setdefault(head, [])
            known += [tail for tail in tails if tail != head and tail not in known]
    return {head: tails for head, tails in found.items() if tails}


def _phrases(text: str, analyze: Callable[[str], Sequence[str]]) -> list[Phrase]:
    phrases = (tuple(analyze(part)) for part in text.split(","))
    return [phrase for phrase in phrases if 0 < len(phrase) <= LONGEST_PHRASE]


def synonyms(analyze: Callable[[str], Sequence[str]]) -> Mapping[Phrase, Sequence[Phrase]]:
    """The synonyms in force now."""
    paths = [SHIPPED, *([Path(settings.SEARCH_SYNONYMS)] if settings.SEARCH_SYNONYMS else [])]
    return _read(tuple((path, _changed(path)) for path in paths), analyze)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=2)
def _read(
    files: tuple[tuple[Path, int], ...], analyze: Callable[[str], Sequence[str]]
) -> Mapping[Phrase, Sequence[Phrase]]:
    texts = []
    for path, changed in files:
        if not changed:
            log.warning("synonyms_unreadable", path=str(path), effect="search goes on without them")
            continue
        texts.append(path.read_text(encoding="utf-8", errors="replace"))
    return read_synonyms("\n".join(texts), analyze=analyze)
