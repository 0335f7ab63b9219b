"""A process that searches without pause, as a web process does, until it sees the last writing.

    python -m tests.catalog.index_reader DIRECTORY PRODUCTS LAST

Every writing gives all products one brand. Seeing two at once, or not all products, is a torn read.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import django


def main(directory: str, products: int, last: int) -> None:
    """Search until the brand `last` is there; prints how many writings were seen."""
    django.setup()
    from marketplace.catalog.search import SearchFilters
    from marketplace.catalog.search.fulltext import FullTextIndex

    index = FullTextIndex(Path(directory))
    seen = [-1]
    deadline = time.monotonic() + 60
    while seen[-1] != last:
        assert time.monotonic() < deadline, f"last seen: {seen[-1]}"
        words = index.word_search(text="", filters=SearchFilters())
        if words is None:
            continue
        (brand,) = words.facets()["brand"]
        ids, total = words.listed(after=0, limit=products + 1)
        assert (brand.count, total, len(ids)) == (products, products, products)
        assert int(brand.value) >= seen[-1], "an older state came back"
        if int(brand.value) != seen[-1]:
            seen.append(int(brand.value))
    print(len(seen) - 1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
