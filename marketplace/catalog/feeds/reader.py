"""Lines of a feed, streamed: constant memory however long the file."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

from marketplace.catalog.feeds.columns import REQUIRED, canonical_row, header_names
from marketplace.catalog.feeds.refusals import RowRefused
from marketplace.catalog.models import FeedImport

LONGEST_LINE: Final = 1_000_000
_GZIP: Final = b"\x1f\x8b"


class FeedUnreadable(Exception):
    """The file as a whole is no feed; the message is for the merchant."""


@dataclass(frozen=True, slots=True)
class FeedLine:
    """A row under our column names, or why it could not be read; `line` is where it ends, from 1."""

    line: int
    cells: dict[str, str] | RowRefused


class FeedReader:
    """Iterates a feed's lines. `position` tells how many bytes of the file as uploaded have been read."""

    def __init__(self, file: BinaryIO, *, format: str) -> None:
        self._raw = file
        self._format = format
        zipped = file.read(2) == _GZIP
        file.seek(0)
        # The stubs know GzipFile only as a reader of bytes; it is a buffered stream all the same.
        plain = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if zipped else file
        self._text = io.TextIOWrapper(plain, encoding="utf-8-sig", errors="replace", newline="")

    @property
    def position(self) -> int:
        """Bytes of the uploaded file read so far."""
        return self._raw.tell()

    def __iter__(self) -> Iterator[FeedLine]:
        """Raises FeedUnreadable for a file that is no feed or breaks off in its compression."""
        try:
            if self._format == FeedImport.Format.JSONL:
                yield from self._json_lines()
            else:
                yield from self._table("\t" if self._format == FeedImport.Format.TSV else ",")
        except (OSError, EOFError, zlib.error) as broken:
            raise FeedUnreadable("The file is damaged: its compression cannot be read.") from broken

    def _lines(self) -> Iterator[str]:
        while line := self._text.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                raise FeedUnreadable(f"A line has more than {LONGEST_LINE:,} characters.")
            yield line

    def _json_lines(self) -> Iterator[FeedLine]:
        for number, text in enumerate(self._lines(), start=1):
            if not text.strip():
                continue
            try:
                parsed = json.loads(text)
            except (ValueError, RecursionError):
                yield FeedLine(number, RowRefused("not_json", "The line is not a JSON object."))
                continue
            if isinstance(parsed, dict):
                yield FeedLine(number, canonical_row(parsed))
            else:
                yield FeedLine(number, RowRefused("not_json", "The line is not a JSON object."))

    def _table(self, delimiter: str) -> Iterator[FeedLine]:
        reader = csv.reader(self._lines(), delimiter=delimiter, strict=False)
        try:
            names = header_names(next(reader))
        except (StopIteration, csv.Error) as broken:
            raise FeedUnreadable("The file is empty, or its first line is not a header.") from broken
        missing = [name for name in REQUIRED if name not in names]
        if missing:
            raise FeedUnreadable(
                f"The header lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}."
                " The first line names the columns, as in “id,title,price,availability,…”."
            )
        while True:
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as broken:
                yield FeedLine(reader.line_num, RowRefused("not_csv", f"The line cannot be read: {broken}."))
                continue
            if not any(value.strip() for value in values):
                continue
            if len(values) > len(names):
                refusal = RowRefused(
                    "too_many_cells", f"The line has {len(values)} cells under {len(names)} columns."
                )
                yield FeedLine(reader.line_num, refusal)
                continue
            yield FeedLine(
                reader.line_num, {name: value for name, value in zip(names, values, strict=False) if name}
            )
