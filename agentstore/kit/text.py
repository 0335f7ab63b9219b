"""Text from outside that has to be storable."""

from __future__ import annotations

from typing import Any, Final

from agentstore.kit.errors import Invalid

# No request of ours needs more, and what goes through a value by recursion stays far from its bounds.
MOST_NESTED: Final = 64


class Unstorable(Invalid):
    """There is text in it that no database keeps, or it is nested beyond reason."""

    code = "invalid_request"


def storable(text: str) -> str:
    """The text without what PostgreSQL and UTF-8 cannot hold: NUL, and halves of surrogate pairs, which JSON's
    escapes can smuggle in.
    """
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def require_storable(value: Any) -> None:
    """Raises Unstorable for a value as JSON has them, in which `storable` would leave out something of a text or a
    name, or which is nested more than MOST_NESTED deep.
    """
    level = [value]
    for _ in range(MOST_NESTED):
        below: list[Any] = []
        for part in level:
            if isinstance(part, str):
                _require_text(part)
            elif isinstance(part, dict):
                below += part.keys()
                below += part.values()
            elif isinstance(part, list):
                below += part
        if not below:
            return
        level = below
    raise Unstorable("This is nested too deeply.", hint=f"At most {MOST_NESTED} levels are read.")


def _require_text(text: str) -> None:
    if "\x00" in text:
        raise Unstorable("There is a zero character in a text.", hint="Leave it out.")
    try:
        text.encode()
    except UnicodeEncodeError as broken:
        raise Unstorable("There is half a surrogate pair in a text.", hint="Leave it out.") from broken
