"""The end of an agent's log as its developer may read it: bounded, and without what the shopper said.

A sandbox serves one conversation, so no other shopper's words can be in its log; this one's can, for agents print
what they are asked. A developer never reads those words (`traces`), so whatever repeats them is taken out before the
log is stored: personal data by `masking`, and every run of words that a message has too. An agent that means to can
still write them in a code of its own; docs/operations/sandbox.md says so.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable

from agentstore.kit.text import storable
from marketplace.shopping.masking import mask

LINES = 40
LETTERS = 4000
TAKEN_OUT = "[the shopper's words]"
_WORD = re.compile(r"\w+")
# A run of so many letters or words is no coincidence; less is the log's own language.
_RUN_LETTERS, _RUN_WORDS = 10, 3


def readable_log(log: str, *, said: Iterable[str]) -> str:
    """The last lines, at most LINES and LETTERS, without control characters, personal data and the words of
    the messages in `said`.
    """
    clean = "".join(c for c in storable(log) if c in "\n\t" or c.isprintable())
    # Words first: what is cut later must not leave half of a run behind.
    clean = mask(without_words(clean, said)).text
    return "\n".join(clean.splitlines()[-LINES:])[-LETTERS:].strip("\n")


def without_words(text: str, said: Iterable[str]) -> str:
    """The text with each run of words that stands in one of the messages replaced.

    A run has three words or ten letters, or is a whole message. A message is also looked for as JSON spells it.
    """
    pairs, whole = set[tuple[str, str]](), set[str]()
    for message in said:
        for spelling in (message, json.dumps(message)):
            words = [found.group().casefold() for found in _WORD.finditer(spelling)]
            pairs.update(itertools.pairwise(words))
            if len(words) == 1:
                whole.add(words[0])
            whole.update(word for word in words if len(word) >= _RUN_LETTERS)
    found = list(_WORD.finditer(text))
    kept, at, index = list[str](), 0, 0
    while index < len(found):
        end = index
        while end + 1 < len(found) and (_low(found[end]), _low(found[end + 1])) in pairs:
            end += 1
        run = found[index : end + 1]
        if _is_telling([_low(word) for word in run], whole):
            kept += [text[at : run[0].start()], TAKEN_OUT]
            at = run[-1].end()
        index = end + 1
    return "".join([*kept, text[at:]])


def _low(word: re.Match[str]) -> str:
    return word.group().casefold()


def _is_telling(run: list[str], whole: set[str]) -> bool:
    if len(run) == 1:
        return run[0] in whole
    return len(run) >= _RUN_WORDS or sum(map(len, run)) >= _RUN_LETTERS or any(word in whole for word in run)
