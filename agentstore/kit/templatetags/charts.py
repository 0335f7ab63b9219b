"""`{% line_chart %}` and `{% sparkline %}`: SVG made on the server, with the numbers in a table behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from agentstore.kit.charts import Series, lay_out, plain, sparkline_path
from agentstore.kit.money import Money
from agentstore.kit.templatetags.kit import hue_class

register = template.Library()


def formatter(unit: str) -> Callable[[float], str]:
    """How values of a unit are written: "" plain, "percent" of shares, or a currency code for micro-units."""
    if unit == "percent":
        return lambda value: f"{value * 100:.3g}%"
    if unit:
        return lambda value: str(Money(round(value), unit))
    return plain


@register.inclusion_tag("components/line_chart.html")
def line_chart(
    title: str, labels: Sequence[str], series: Sequence[Mapping[str, Any]], unit: str = "", note: str = ""
) -> dict[str, Any]:
    """A line chart with a legend, wide and narrow, and its table.

    `series` holds `{"name", "values"}` mappings, `hue` optional; every `values` is as long as `labels`, with
    None for a gap. `unit` is "", "percent" (of shares) or a currency code (of micro-units).
    """
    written = formatter(unit)
    lines = [Series(line["name"], list(line["values"]), line.get("hue", "")) for line in series]
    texts = [str(label) for label in labels]
    empty = not texts or not lines
    return {
        "title": title,
        "note": note,
        "wide": lay_out(texts, lines, width=720, height=260, format_value=written),
        "narrow": lay_out(texts, lines, width=330, height=200, format_value=written, x_count=3),
        "names": [line.name for line in lines],
        "rows": []
        if empty
        else [
            (text, ["–" if value is None else written(value) for value in values])
            for text, values in zip(texts, zip(*(line.values for line in lines), strict=True), strict=True)
        ],
        "empty": empty,
    }


@register.simple_tag
def sparkline(values: Sequence[float], name: str = "", classes: str = "h-8 w-28") -> SafeString:
    """A small line without axes, in the name's hue: decoration beside a number, so hidden from readers."""
    path = sparkline_path([float(value) for value in values], width=112, height=32)
    return format_html(
        '<svg class="{} {}" viewBox="0 0 112 32" aria-hidden="true">'
        '<path class="chart-line" d="{}"></path></svg>',
        hue_class(name),
        classes,
        path,
    )
