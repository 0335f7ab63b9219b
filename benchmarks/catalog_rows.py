"""Catalogues of any size for benchmarks/catalog.py, made inside PostgreSQL from a few real rows and vectors."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import Any, Final

KINDS: Final = (
    "frying pan", "kettle", "desk lamp", "running shoe", "rain jacket", "office chair", "water bottle", "backpack",
    "camera", "headphones", "keyboard", "monitor", "garden hose", "tent", "sleeping bag", "bath towel", "candle",
    "notebook", "wrist watch", "yoga mat",
)  # fmt: skip
MATERIALS: Final = (
    "steel", "cotton", "oak", "bamboo", "leather", "ceramic", "glass", "aluminium", "wool", "recycled plastic",
)  # fmt: skip
MANNERS: Final = (
    "light", "heavy duty", "foldable", "classic", "compact", "waterproof", "vintage", "professional", "quiet", "soft",
)  # fmt: skip
USES: Final = (
    "for travel", "for the kitchen", "for children", "for winter", "for the office", "for beginners", "outdoors",
)  # fmt: skip
BRANDS: Final = ("Loom", "Photon", "Sonus", "Hill", "Lumo", "Northwind", "Acorn", "Brook", "Cedar", "Dune")
VARIANTS_EACH: Final = 2
PRODUCTS_PER_TEXT: Final = 2
# Of a vector's length; leaves a cosine of 0.91.
_NOISE: Final = 0.45

_HASH: Final = "encode(sha256(convert_to('text ' || {number}, 'UTF8')), 'hex')"
_KEY: Final = (
    "('x' || substr(encode(sha256(convert_to('text ' || {number}, 'UTF8')), 'hex'), 1, 15))::bit(60)::bigint"
)


@dataclass(frozen=True)
class Sizes:
    """How large a catalogue is."""

    variants: int

    @property
    def products(self) -> int:
        """Each has two variants."""
        return self.variants // VARIANTS_EACH

    @property
    def texts(self) -> int:
        """Distinct texts: half of the products read like another one."""
        return self.products // PRODUCTS_PER_TEXT

    @property
    def name(self) -> str:
        """`100k`, `1M`"""
        millions, thousands = divmod(self.variants, 1_000_000)
        return f"{millions}M" if millions and not thousands else f"{self.variants // 1000}k"


def titles(number: int, seed: int = 7) -> list[str]:
    """So many distinct titles."""
    every = list(itertools.product(MANNERS, MATERIALS, KINDS, USES))
    return [" ".join(parts) for parts in random.Random(seed).sample(every, min(number, len(every)))]


def queries(number: int, seed: int = 11) -> list[str]:
    """What shoppers might type: two or three words, some misspelt."""
    rng = random.Random(seed)
    made = []
    for _ in range(number):
        words = [rng.choice(MATERIALS), rng.choice(KINDS), rng.choice(USES + MANNERS)]
        text = " ".join(rng.sample(words, rng.randrange(2, 4)))
        if rng.random() < 0.1:
            spot = rng.randrange(1, len(text) - 1)
            text = text[:spot] + text[spot + 1 :]
        made.append(text)
    return made


def fill_catalogue(cursor: Any, sizes: Sizes, *, bases: list[tuple[str, int, str]], owner: Any) -> None:
    """Rows for a catalogue of this size.

    `bases` are titles with the category's id and the brand. One product with a variant and an offer of `owner` is
    there as the pattern: what is not said here is as that one has it.
    """
    cursor.execute("SELECT id FROM catalog_product WHERE owner_id = %s LIMIT 1", [owner])
    (pattern,) = cursor.fetchone()
    cursor.execute(
        "CREATE TEMP TABLE base (number int PRIMARY KEY, title text, category_id bigint, brand text)"
    )
    cursor.executemany(
        "INSERT INTO base VALUES (%s, %s, %s, %s)", [(number, *base) for number, base in enumerate(bases)]
    )
    cursor.execute("SELECT setseed(0.5)")
    text = f"(g %% {sizes.texts})"
    base = f"(SELECT {{}} FROM base WHERE number = {text} %% {len(bases)})"
    _multiply(
        cursor, "catalog_product", f"id = {pattern}", sizes.products,
        group_id="'g' || g", title=f"{base.format('title')} || ' m' || {text} / {len(bases)}",
        brand=base.format("brand"), category_id=base.format("category_id"), text_hash=_HASH.format(number=text),
        attributes="jsonb_build_object('material', (array['steel','oak','wool','glass'])[1 + g %% 4])",
    )  # fmt: skip
    cursor.execute("CREATE TEMP TABLE made AS SELECT id, row_number() OVER (ORDER BY id) - 1 AS place"
                   " FROM catalog_product WHERE group_id LIKE 'g%'")  # fmt: skip
    cursor.execute("CREATE UNIQUE INDEX ON made (place)")
    _multiply(
        cursor, "catalog_variant", f"product_id = {pattern}", sizes.variants,
        product_id=f"(SELECT id FROM made WHERE place = g / {VARIANTS_EACH})", item_id="'v' || g",
        title="(array['S','M'])[1 + g %% 2]",
        options="jsonb_build_object('Size', (array['S','M'])[1 + g %% 2],"
                " 'Color', (array['Blue','Red','Green','Black','White'])[1 + g / 2 %% 5])",
    )  # fmt: skip
    cursor.execute("CREATE TEMP TABLE sold AS SELECT id, row_number() OVER (ORDER BY id) - 1 AS place"
                   " FROM catalog_variant WHERE item_id LIKE 'v%'")  # fmt: skip
    cursor.execute("CREATE UNIQUE INDEX ON sold (place)")
    _multiply(
        cursor, "catalog_offer", f"variant_id IN (SELECT id FROM catalog_variant WHERE product_id = {pattern})",
        sizes.variants,
        variant_id="(SELECT id FROM sold WHERE place = g)", on_hand="(random() * 20)::int",
        price_micros="(100 + (random() ^ 2 * 50000)::bigint) * 10000", list_price_micros="NULL::bigint",
        ships_to="CASE g %% 4 WHEN 0 THEN '{DE}'::varchar[] WHEN 1 THEN '{US,CA}' ELSE '{}' END",
    )  # fmt: skip


def fill_vectors(cursor: Any, sizes: Sizes, vectors: list[list[float]], *, seed: int = 3) -> None:
    """A vector for every text: real ones of the bases, each varied by noise, which PostgreSQL adds itself."""
    import numpy as np

    rng = np.random.default_rng(seed)
    variations = sizes.texts // len(vectors) + 1
    noise = rng.normal(size=(variations, len(vectors[0])))
    noise *= _NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
    noise[0] = 0
    cursor.execute("CREATE TEMP TABLE real_vector (number int PRIMARY KEY, vector halfvec(384))")
    cursor.execute("CREATE TEMP TABLE noise (number int PRIMARY KEY, vector halfvec(384))")
    for table, rows in (("real_vector", vectors), ("noise", noise.tolist())):
        cursor.executemany(
            f"INSERT INTO {table} VALUES (%s, %s)",
            [(number, str(row)) for number, row in enumerate(rows)],
        )
    cursor.execute(
        "INSERT INTO catalog_textembedding (text_hash, key, vector, computed_at)"
        f" SELECT {_HASH.format(number='g')}, {_KEY.format(number='g')},"
        "  l2_normalize(r.vector + n.vector), now()"
        f" FROM generate_series(0, {sizes.texts - 1}) g"
        f" JOIN real_vector r ON r.number = g %% {len(vectors)}"
        f" JOIN noise n ON n.number = g / {len(vectors)}".replace("%%", "%")
    )


def _multiply(cursor: Any, table: str, pattern: str, number: int, **changed: str) -> None:
    """Insert copies of a row; `changed` gives SQL for columns by the copy's number `g`."""
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND column_name <> 'id'"
        " AND is_generated = 'NEVER'",
        [table],
    )
    names = [row[0] for row in cursor.fetchall()]
    values = ", ".join(changed.get(name, f"t.{name}") for name in names)
    cursor.execute(
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} t,"
        f" generate_series(0, {number - 1}) g WHERE t.{pattern}".replace("%%", "%")
    )
