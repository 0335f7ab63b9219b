"""A text as a reader takes it: without what cannot be seen, and in plain letters. Pure, in linear time.

Sources: Unicode Technical Standard 39 (confusables), Unicode's Default_Ignorable_Code_Point, and UAX 9 for what turns
the direction of text.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

# Beyond this only beginning and end are read: a longer description is read by nobody else either.
LONGEST: Final = 100_000
_TAIL: Final = 10_000

_TURNING: Final = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_TAGS: Final = "\U000e0000-\U000e007f"
_UNSEEN: Final = (
    "\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2028\u2029\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"
    f"\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a{_TAGS}\U000e0080-\U000e0fff{_TURNING}"
)
_JOINERS: Final = "\u200c\u200d"
_SELECTORS: Final = "\ufe00-\ufe0f"
# The flags of England, Scotland and Wales are a black flag and a few tags: the one honest use of these.
_FLAG: Final = "\U0001f3f4[\U000e0030-\U000e007a]{2,6}\U000e007f"
_HIDE: Final = re.compile(f"({_FLAG})|[{_UNSEEN}]+")
# Emoji, Arabic and the scripts of India need joiners; Latin letters never do.
_LOOSE: Final = re.compile(
    f"[{_JOINERS}]{{2,}}|(?<![\u0590-\U0010ffff])[{_JOINERS}]|[{_JOINERS}](?![\u0590-\U0010ffff])"
    "|[\ufe00-\ufe0d]|(?<=[\ufe0e\ufe0f])[\ufe0e\ufe0f]"
)
_ALL_UNSEEN: Final = re.compile(f"[{_UNSEEN}{_JOINERS}{_SELECTORS}]+")
# Soft hyphens are how an honest text says where a word may break.
_INSIDE: Final = re.compile(f"(?<=[^\\W\\d_])(?!\u00ad)[{_UNSEEN}{_JOINERS}{_SELECTORS}]+(?=[^\\W\\d_])")
_TAGGED: Final = re.compile(f"{_FLAG}|([{_TAGS}]+)")
_OVERRIDES: Final = re.compile("[\u202d\u202e]")

_MARKS: Final = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
# Lower case, by script, with the Latin letter that each is taken for.
_ALIKE: Final = (
    # Cyrillic
    ("\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442", "abekmhopct"),
    ("\u0443\u0445\u0455\u0456\u0458\u04bb\u04cf\u0501\u051b\u051d", "yxsijhldqw"),
    # Greek
    ("\u03b1\u03b5\u03b7\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u03b3", "aenikvoptuxy"),
    # Armenian
    ("\u0578\u057d\u0581\u0585", "nugo"),
    # small capitals and letters of phonetics
    ("\u1d00\u0299\u1d04\u1d05\u1d07\ua730\u0262\u029c\u026a\u1d0a\u1d0b\u029f", "abcdefghijkl"),
    ("\u1d0d\u0274\u1d0f\u1d18\u0280\ua731\u1d1b\u1d1c\u1d20\u1d21\u028f\u1d22", "mnoprstuvwyz"),
    ("\u0261\u0251\u0131", "gai"),
    # quotation marks and dashes
    ("\u2019\u2018\u201c\u201d\u2010\u2011\u2012\u2013\u2014\u2212", "''\"\"------"),
)
_LOOKALIKES: Final = str.maketrans("".join(have for have, _ in _ALIKE), "".join(like for _, like in _ALIKE))
_MIXED: Final = re.compile(
    r"(?=[^\W\d_]{4})(?=[^\W\d_]*[a-z])(?=[^\W\d_]*[\u0370-\u03ff\u0400-\u052f\u0530-\u058f])[^\W\d_]+"
)
_WORD: Final = re.compile(r"[^\W\d_]{4,64}")
_SPACES: Final = re.compile(r"[^\S\n]+")
_LINES: Final = re.compile(r"\s*\n\s*")
_MARKUP: Final = re.compile(r"<[^<>\n]{1,200}>")
_EMPHASIS: Final = re.compile(r"[*`~]+")


@dataclass(frozen=True, slots=True)
class Reading:
    """A text made plain, and what was found on the way.

    `seen` is the text without what cannot be seen; `markup` in plain letters besides, `plain` without tags too.
    `tagged` is what tag characters spell, `inside` counts places where something unseen parts two letters, `mixed` the
    words of letters from two scripts, `turned` what reverses the order of letters.
    """

    seen: str
    plain: str
    markup: str
    tagged: str
    inside: int
    mixed: int
    turned: int


def shown(text: str) -> str:
    """The text as it leaves the store: what cannot be seen is gone, and nothing else is changed."""
    if text.isascii() and text.isprintable():
        return text
    return _LOOSE.sub("", _HIDE.sub(lambda found: found[1] or "", text))


def read(text: str) -> Reading:
    """A text of any kind and length, made plain."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - _TAIL]}\n{text[-_TAIL:]}"
    tagged = ""
    inside = mixed = turned = 0
    seen = text
    if not (text.isascii() and text.isprintable()):
        tagged = _spelled_by_tags(text)
        inside = len(_INSIDE.findall(text))
        turned = len(_OVERRIDES.findall(text))
        seen = _ALL_UNSEEN.sub("", text)
    if "&" in seen:
        seen = _ALL_UNSEEN.sub("", html.unescape(seen))
    folded = seen.casefold()
    if not folded.isascii():
        folded = _MARKS.sub("", unicodedata.normalize("NFKD", folded))[:LONGEST].casefold()
        mixed = sum(1 for word in _WORD.findall(folded) if _MIXED.fullmatch(word))
        folded = folded.translate(_LOOKALIKES)
    markup = _lines(folded)
    plain = _lines(_EMPHASIS.sub("", _MARKUP.sub(" ", markup))) if _has_markup(markup) else markup
    return Reading(seen, plain, markup, tagged, inside, mixed, turned)


def _has_markup(text: str) -> bool:
    return any(sign in text for sign in "<*`~")


def _lines(text: str) -> str:
    """Runs of spaces as one, lines without what is around them."""
    return _LINES.sub("\n", _SPACES.sub(" ", text)).strip()


def _spelled_by_tags(text: str) -> str:
    """What tag characters say in letters; they are invisible copies of ASCII."""
    found = (run for run in _TAGGED.findall(text) if run)
    return "".join(chr(ord(tag) - 0xE0000) for run in found for tag in run if ord(tag) > 0xE001F)


def reveal(text: str) -> str:
    """A text with what cannot be seen spelled out, as `⟨U+200B⟩`, for people who judge it."""
    return _ALL_UNSEEN.sub(lambda run: "".join(f"⟨U+{ord(one):04X}⟩" for one in run[0]), text)
