"""The geometry of line charts: pure, so that a page is one render and a test needs no browser.

Ticks follow Heckbert's "nice numbers for graph labels" (Graphics Gems, 1990): steps of 1, 2 or 5 times a
power of ten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

STYLES = ("indigo", "rust", "green", "teal", "blue", "rose")


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name, a value per label (None leaves a gap), and its hue."""

    name: str
    values: Sequence[float | None]
    hue: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where, in the picture's units, and what it says."""

    position: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A drawn series: SVG path data of its line and, for the first one, of the area below it."""

    name: str
    hue: str
    path: str
    area: str
    dashed: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart laid out for one width, in SVG user units (one is about a CSS pixel)."""

    width: int
    height: int
    left: int
    right: float
    bottom: float
    lines: tuple[Line, ...]
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]


def nice_step(span: float, count: int) -> float:
    """The step of 1, 2 or 5 times a power of ten that cuts a positive span into at most `count` parts."""
    rough = span / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1, 2, 5):
        if rough <= factor * power * (1 + 1e-9):
            return factor * power
    return 10 * power


def tick_values(low: float, high: float, count: int = 4) -> list[float]:
    """Nice values that cover [low, high], which always includes zero; at least two of them."""
    low, high = min(low, 0.0), max(high, 0.0)
    if high == low:
        high = low + 1
    step = nice_step(high - low, count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def path_data(points: Sequence[tuple[float, float] | None]) -> str:
    """SVG path data through the points; None lifts the pen."""
    parts: list[str] = []
    drawing = False
    for point in points:
        if point is None:
            drawing = False
            continue
        parts.append(f"{'L' if drawing else 'M'}{point[0]:.1f} {point[1]:.1f}")
        drawing = True
    return "".join(parts)


def sparkline_path(values: Sequence[float], *, width: int, height: int) -> str:
    """Path data of a line without axes that fills the box; nothing for fewer than two values."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    inner = height - 4
    return path_data(
        [
            (2 + index * (width - 4) / (len(values) - 1), 2 + inner - (value - low) / span * inner)
            for index, value in enumerate(values)
        ]
    )


def plain(value: float) -> str:
    """A number for people: `1,500`, `0.25`."""
    return f"{value:,.10g}"


def _area(points: Sequence[tuple[float, float] | None], base: float) -> str:
    solid = [point for point in points if point is not None]
    if len(solid) != len(points) or len(solid) < 2:
        return ""
    return f"{path_data(solid)}L{solid[-1][0]:.1f} {base:.1f}L{solid[0][0]:.1f} {base:.1f}Z"


def lay_out(
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    width: int,
    height: int,
    format_value: Callable[[float], str] = plain,
    x_count: int = 6,
) -> Picture:
    """Lay a chart out in `width` by `height` units, with about `x_count` labels below it."""
    numbers = [value for line in series for value in line.values if value is not None] or [0.0]
    values = tick_values(min(numbers), max(numbers))
    low, high = values[0], values[-1]
    texts = [format_value(value) for value in values]
    left = 12 + 7 * max(len(text) for text in texts)
    top, right, bottom = 10.0, float(width - 18), float(height - 26)

    def x(index: int) -> float:
        return left + (right - left) * (index / (len(labels) - 1) if len(labels) > 1 else 0.5)

    def y(value: float) -> float:
        return bottom - (bottom - top) * (value - low) / (high - low)

    lines = []
    for number, line in enumerate(series):
        points = [None if value is None else (x(i), y(value)) for i, value in enumerate(line.values)]
        hue = line.hue or STYLES[number % len(STYLES)]
        area = _area(points, y(0)) if number == 0 else ""
        lines.append(Line(line.name, hue, path_data(points), area, dashed=number % 2 == 1))
    stride = max(1, math.ceil((len(labels) - 1) / max(x_count - 1, 1)))
    return Picture(
        width=width,
        height=height,
        left=left,
        right=right,
        bottom=bottom,
        lines=tuple(lines),
        y_ticks=tuple(Tick(y(value), text) for value, text in zip(values, texts, strict=True)),
        x_ticks=tuple(Tick(x(index), labels[index]) for index in range(0, len(labels), stride)),
    )
