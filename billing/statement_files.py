"""Statements as files: CSV for programs, PDF for people. Both say what the page says."""

from __future__ import annotations

import io
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import reportlab
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from agentstore.kit.money import Money
from agentstore.kit.tables import Read, Row
from billing.models import Statement, StatementLine
from billing.statement_rules import FIRST, Item, Place, sign_of
from billing.statement_words import Section, describe, sections_of, shown, unit_price
from billing.statements import line_items

LINE_COLUMNS: tuple[str, ...] = (
    "month",
    "section",
    "line",
    "description",
    "prices",
    "late_from",
    "quantity",
    "exact",
    "amount",
    "currency",
)
ITEM_COLUMNS: tuple[str, ...] = (
    "month",
    "line",
    "when",
    "kind",
    "conversation",
    "order_line",
    "amount",
    "currency",
    "journal",
)
_INK, _MUTED, _RULE = colors.HexColor("#1f2430"), colors.HexColor("#5b6272"), colors.HexColor("#d9dce3")


def read_lines(statement: Statement) -> Read:
    """The lines, all at once; amounts in major units with a point."""
    return lambda _: (
        [_line_row(line, section) for section in sections_of(statement) for line in section.lines],
        None,
    )


def _line_row(line: StatementLine, section: Section) -> Row:
    currency = line.statement.currency
    return [
        line.statement.period_id,
        section.title,
        line.number,
        _plain(describe(line)),
        _plain(str(line.price_version or "")),
        line.late_from,
        line.quantity,
        _decimal(Money(line.exact_micros, currency)),
        _decimal(shown(line)),
        currency,
    ]


def read_items(statement: Statement, *, size: int = 1_000) -> Read:
    """Every movement behind the lines, down to the conversation, so many at a time."""
    lines = [line for section in sections_of(statement) for line in section.lines]

    def read(after: tuple[int, Place] | None) -> tuple[Sequence[Row], tuple[int, Place] | None]:
        at, place = after or (0, FIRST)
        if at == len(lines):
            return [], None
        items = line_items(lines[at], limit=size, after=place)
        rows = [_item_row(lines[at], item) for item in items]
        return rows, (at, items[-1].place) if len(items) == size else (at + 1, FIRST)

    return read


def _item_row(line: StatementLine, item: Item) -> Row:
    statement = line.statement
    return [
        statement.period_id,
        line.number,
        item.occurred_at.isoformat(),
        item.kind,
        item.conversation_ref,
        item.line_ref,
        _decimal(Money(sign_of(line.account_kind) * item.amount, statement.currency)),
        statement.currency,
        item.journal_id,
    ]


def _plain(text: str) -> str:
    """A spreadsheet must not take a name for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _decimal(amount: Money) -> str:
    places = amount.decimal.normalize()
    cents = amount.decimal.quantize(Decimal("0.01"))
    return f"{cents:f}" if cents == places else f"{places:f}"


def pdf_of(statement: Statement, *, owner: str, store: str) -> bytes:
    """The statement as a PDF, as many pages as it takes, with the fonts inside."""
    _register_fonts()
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=18 * mm,
        rightMargin=18 * mm,
        topMargin=18 * mm,
        bottomMargin=18 * mm,
        title=f"Statement {statement.period_id}, {owner}",
        author=store,
        invariant=True,
    )
    story: list[Flowable] = [
        Paragraph(_escape(store), _style(9, _MUTED)),
        Paragraph(f"Statement {statement.period_id}", _style(20, _INK, bold=True)),
        Paragraph(_escape(owner), _style(11, _INK)),
        Spacer(1, 8 * mm),
    ]
    for section in sections_of(statement):
        story += [
            Paragraph(section.title, _style(12, _INK, bold=True)),
            Spacer(1, 2 * mm),
            _table(section),
            Spacer(1, 6 * mm),
        ]
    if statement.charges_minor or statement.carried_in_minor:
        carried = Money.from_minor(statement.carried_in_minor, statement.currency)
        story.append(Paragraph(f"Carried in: {carried}", _style(10, _MUTED)))
        story.append(Paragraph(f"To be invoiced: {statement.due}", _style(11, _INK, bold=True)))
    story.append(Spacer(1, 4 * mm))
    story.append(
        Paragraph(
            "Months are in UTC. Charges are added up exactly and rounded once a line; what was booked after"
            " the third day of the next month is on the next statement.",
            _style(8, _MUTED),
        )
    )
    document.build(story)
    return out.getvalue()


def _register_fonts() -> None:
    """Bitstream Vera comes with reportlab; the built-in PDF fonts lack the minus sign and most of Europe."""
    fonts = Path(reportlab.__file__).parent / "fonts"
    for name in ("Vera", "VeraBd"):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, str(fonts / f"{name}.ttf")))


def _style(size: int, colour: colors.Color, *, bold: bool = False) -> ParagraphStyle:
    return ParagraphStyle(
        "text", fontName="VeraBd" if bold else "Vera", fontSize=size, leading=size * 1.4, textColor=colour
    )


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _table(section: Section) -> Table:
    small = _style(9, _INK)
    rows: list[list[object]] = [["", "Number", "Each", "Amount"]]
    rows.append(["Balance at the beginning", "", "", _money(section.opening)])
    for line in section.lines:
        each = unit_price(line)
        rows.append(
            [
                Paragraph(_escape(describe(line)), small),
                f"{line.quantity:,}",
                _money(each) if each else "",
                _money(shown(line)),
            ]
        )
    rows.append(["Balance at the end", "", "", _money(section.closing)])
    table = Table(rows, colWidths=[88 * mm, 24 * mm, 28 * mm, 34 * mm], repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("FONT", (0, 0), (-1, -1), "Vera", 9),
                ("FONT", (0, -1), (-1, -1), "VeraBd", 9),
                ("TEXTCOLOR", (0, 0), (-1, 0), _MUTED),
                ("TEXTCOLOR", (0, 1), (-1, -1), _INK),
                ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, _RULE),
            ]
        )
    )
    return table


def _money(amount: Money) -> str:
    """Vera has no U+2212."""
    return str(amount).replace("−", "-")
