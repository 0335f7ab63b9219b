"""Lines of a feed, streamed: constant memory however long the file, and an end to it however well it was compressed."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

from marketplace.catalog.feeds.columns import LONGEST_TEXT, REQUIRED, canonical_row, header_names, tidy
from marketplace.catalog.feeds.refusals import RowRefused, too_long
from marketplace.catalog.models import FeedImport

LONGEST_LINE: Final = 1_000_000
# Blank ones too: they cost time and bring nothing. A large catalogue has a few million.
MOST_LINES: Final = 50_000_000
MOST_PLAIN_BYTES: Final = 20_000_000_000
# A catalogue packs to a tenth, a very uniform one to a fiftieth; beyond the first, free bytes more is a bomb.
MOST_RATIO: Final = 200
_FREE_BYTES: Final = 64_000_000
_BEAT_LINES: Final = 4_096
_GZIP: Final = b"\x1f\x8b"


class FeedUnreadable(Exception):
    """The file as a whole is no feed; the message is for the merchant."""


class FeedTooLong(FeedUnreadable):
    """The file has more lines, or unpacks to more bytes, than the store reads."""


@dataclass(frozen=True, slots=True)
class FeedLine:
    """A row under our column names, or why it could not be read; `line` is where it ends, from 1.

    No cell has more than LONGEST_TEXT characters. `item_id` is known of some rows that could not be read.
    """

    line: int
    cells: dict[str, str] | RowRefused
    item_id: str = ""


class FeedReader:
    """Iterates a feed's lines. `position` tells how many bytes of the file as uploaded have been read.

    `beat` is called every few thousand lines, those that bring nothing included: a sign of life.
    """

    def __init__(self, file: BinaryIO, *, format: str, beat: Callable[[], None] = lambda: None) -> None:
        self._raw = file
        self._format = format
        self._beat = beat
        zipped = file.read(2) == _GZIP
        file.seek(0)
        # The stubs know GzipFile only as a reader of bytes; it is a buffered stream all the same.
        self._plain = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if zipped else file
        self._text = io.TextIOWrapper(self._plain, encoding="utf-8-sig", errors="replace", newline="")

    @property
    def position(self) -> int:
        """Bytes of the uploaded file read so far."""
        return self._raw.tell()

    def __iter__(self) -> Iterator[FeedLine]:
        """Raises FeedUnreadable for a file that is no feed or breaks off in its compression, FeedTooLong."""
        try:
            if self._format == FeedImport.Format.JSONL:
                yield from self._json_lines()
            else:
                yield from self._table("\t" if self._format == FeedImport.Format.TSV else ",")
        except (OSError, EOFError, zlib.error) as broken:
            raise FeedUnreadable("The file is damaged: its compression cannot be read.") from broken

    def _lines(self) -> Iterator[str | RowRefused]:
        number = 0
        while line := self._text.readline(LONGEST_LINE + 1):
            number += 1
            if number % _BEAT_LINES == 0 or len(line) > _BEAT_LINES:
                self._go_on(number)
            if len(line) <= LONGEST_LINE:
                yield line
                continue
            while line and line[-1] not in "\r\n":
                line = self._text.readline(LONGEST_LINE + 1)
                self._go_on(number)
            yield _line_too_long()

    def _go_on(self, lines: int) -> None:
        plain = self._plain.tell()
        if lines > MOST_LINES:
            raise FeedTooLong(f"The file has more than {MOST_LINES:,} lines.")
        if plain > min(MOST_PLAIN_BYTES, _FREE_BYTES + MOST_RATIO * self._raw.tell()):
            raise FeedTooLong("The file unpacks to far more bytes than a feed does.")
        self._beat()

    def _json_lines(self) -> Iterator[FeedLine]:
        for number, text in enumerate(self._lines(), start=1):
            if isinstance(text, RowRefused):
                yield FeedLine(number, text)
                continue
            if not text.strip():
                continue
            try:
                parsed = json.loads(text)
            except (ValueError, RecursionError):
                yield FeedLine(number, RowRefused("not_json", "The line is not a JSON object."))
                continue
            if isinstance(parsed, dict):
                yield _bounded(number, canonical_row(parsed))
            else:
                yield FeedLine(number, RowRefused("not_json", "The line is not a JSON object."))

    def _table(self, delimiter: str) -> Iterator[FeedLine]:
        lines = _RowLines(self._lines())
        reader = csv.reader(lines, delimiter=delimiter, strict=False)
        try:
            names = header_names(next(reader))
        except (StopIteration, csv.Error, RowRefused) as broken:
            raise FeedUnreadable("The file is empty, or its first line is not a header.") from broken
        missing = [name for name in REQUIRED if name not in names]
        if missing:
            raise FeedUnreadable(
                f"The header lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}."
                " The first line names the columns, as in “id,title,price,availability,…”."
            )
        while True:
            lines.characters = 0
            try:
                values = next(reader)
            except StopIteration:
                return
            except RowRefused as refusal:
                yield FeedLine(lines.number, refusal)
                continue
            except csv.Error as broken:
                yield FeedLine(lines.number, RowRefused("not_csv", f"The line cannot be read: {broken}."))
                continue
            if not any(value.strip() for value in values):
                continue
            if len(values) > len(names):
                said = f"The line has {len(values)} cells under {len(names)} columns."
                yield FeedLine(lines.number, RowRefused("too_many_cells", said))
                continue
            yield _bounded(
                lines.number, {name: value for name, value in zip(names, values, strict=False) if name}
            )


class _RowLines:
    """The lines that make a table's rows. A row whose lines are too long together ends there: quotes may never."""

    def __init__(self, lines: Iterator[str | RowRefused]) -> None:
        self._lines = lines
        self.number = 0
        self.characters = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        if isinstance(line, RowRefused):
            raise line
        self.characters += len(line)
        if self.characters > LONGEST_LINE:
            raise _line_too_long()
        return line


def _line_too_long() -> RowRefused:
    return RowRefused("line_too_long", f"The line has more than {LONGEST_LINE:,} characters.")


def _bounded(line: int, cells: dict[str, str]) -> FeedLine:
    for name, value in cells.items():
        if len(value) > LONGEST_TEXT:
            cells[name] = tidy(name, value)
            if len(cells[name]) > LONGEST_TEXT:
                return FeedLine(line, too_long(name, LONGEST_TEXT), cells.get("id", "")[:LONGEST_TEXT])
    return FeedLine(line, cells)
