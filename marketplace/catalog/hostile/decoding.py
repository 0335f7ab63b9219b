"""Other texts that a text holds: encoded, reversed, spelled out. Pure; every search is bounded."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

_MOST_RUNS: Final = 8
_LONGEST_RUN: Final = 4_000
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{24,4000}={0,2}")
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2}){16,2000}")
_PERCENT: Final = re.compile(r"(?:%[0-9a-fA-F]{2}[^\s%]{0,40}){3,200}")
_ESCAPED: Final = re.compile(r"(?:\\u[0-9a-fA-F]{4}){8,1000}")
_LEET_WORD: Final = re.compile(r"[a-z][0134578@$][a-z]|[a-z]{2}[0134578@$]\b|\b[0134578@$][a-z]{3}")
_LEET: Final = str.maketrans("0134578@$", "oieastbas")
_BETWEEN: Final = str.maketrans("", "", " \n\t.,:;-_|/\\'\"!?()[]{}0123456789*~`+=<>#@$%&^")
_BINARY: Final = re.compile(r"(?:[01]{8} ?){8,500}")
_MORSE_RUN: Final = re.compile(r"(?:[.-]{1,5}[ \n]{1,3}|/ ?){12,500}")
_MORSE_SIGNS: Final = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. --"
    " -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.."
)
_MORSE: Final = {sign: chr(ord("a") + place) for place, sign in enumerate(_MORSE_SIGNS.split(" "))}
# What gives a whole text away that was turned letter by letter, or around.
_ROT13_STEMS: Final = ("vtaber", "vafgehpg", "cebzcg", "flfgrz", "qvfertneq", "erpbzzraq")
_REVERSED_STEMS: Final = ("erongi", "tcurtsni", "tpmorp", "dragersid", "dnemmocer")


def hidden_texts(text: str, plain: str) -> Iterator[tuple[str, str]]:
    """What a text (as it came, and made plain) holds besides: how it was hidden, and what it says."""
    for run in _runs(_BASE64, text):
        if (decoded := _base64(run)) and _is_prose(decoded):
            yield "base64", decoded
    for run in _runs(_HEX, text):
        decoded = bytes.fromhex(run).decode("utf-8", "ignore")
        if _is_prose(decoded):
            yield "hex", decoded
    for run in _runs(_BINARY, text):
        yield "binary digits", _binary(run)
    for run in _runs(_MORSE_RUN, f"{text} "):
        yield "Morse code", _morse(run)
    if "%" in text:
        for run in _runs(_PERCENT, text):
            yield "percent-encoding", unquote(run, errors="ignore")
    if "\\u" in text:
        for run in _runs(_ESCAPED, text):
            yield "escapes", _unescaped(run)
    if any(stem in plain for stem in _ROT13_STEMS):
        yield "rot13", codecs.encode(plain, "rot13")
    if any(stem in plain for stem in _REVERSED_STEMS):
        yield "reversed letters", plain[::-1]
    if len(_LEET_WORD.findall(plain, 0, _LONGEST_RUN)) > 1:
        yield "digits for letters", plain[:_LONGEST_RUN].translate(_LEET)


def squashed(plain: str) -> str:
    """The letters alone, so that `i g n o r e` and `ig-nore` read as one word; words run into each other."""
    return plain.translate(_BETWEEN)


def _unescaped(run: str) -> str:
    """Pairs of surrogates as one character; halves are dropped, since no database keeps them as evidence."""
    units = b"".join(int(part, 16).to_bytes(2, "little") for part in run.split("\\u")[1:])
    return units.decode("utf-16-le", "ignore")


def _morse(run: str) -> str:
    return "".join(_MORSE.get(sign, "") if sign != "/" else " " for sign in run.split())


def _binary(run: str) -> str:
    bits = run.replace(" ", "")
    return "".join(chr(int(bits[at : at + 8], 2)) for at in range(0, len(bits) - 7, 8))


def _runs(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    for count, found in enumerate(pattern.finditer(text)):
        if count == _MOST_RUNS:
            return
        yield found[0][:_LONGEST_RUN]


def _base64(run: str) -> str:
    bare = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4)).decode("utf-8", "ignore")
    except (binascii.Error, ValueError):
        return ""


def _is_prose(text: str) -> bool:
    """Whether it reads as words: letters and spaces, hardly anything else."""
    if len(text) < 12 or " " not in text.strip():
        return False
    return sum(one.isalpha() or one.isspace() or one in ",.!?:;'@-_" for one in text) >= 0.9 * len(text)
