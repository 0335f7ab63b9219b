"""Which capabilities count between a platform and the store: those that both have.

UCP 2026-04-08 wants a version in common as well, 2026-08-25 goes by names. The store answers alike in both, so any
version that it speaks is one in common.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from marketplace.catalog.ucp.objects import LOOKUP, SEARCH
from marketplace.catalog.ucp.versions import VERSIONS

CART: Final = "dev.ucp.shopping.cart"
CHECKOUT: Final = "dev.ucp.shopping.checkout"
DISCOUNT: Final = "dev.ucp.shopping.discount"
FULFILLMENT: Final = "dev.ucp.shopping.fulfillment"
ORDER: Final = "dev.ucp.shopping.order"
CAPABILITIES: Final = (SEARCH, LOOKUP, CART, CHECKOUT, FULFILLMENT, DISCOUNT, ORDER)
# Extensions, each with what it extends.
EXTENDS: Final[Mapping[str, tuple[str, ...]]] = {FULFILLMENT: (CHECKOUT,), DISCOUNT: (CART, CHECKOUT)}
_ACTIVE: ContextVar[frozenset[str]] = ContextVar("ucp_capabilities", default=frozenset(CAPABILITIES))


def intersect(theirs: Mapping[str, Collection[str]]) -> frozenset[str]:
    """The store's capabilities that a platform has too; an extension only beside one that it extends. Pure.

    `theirs` has the versions of each capability by its name.
    """
    shared = {name for name in CAPABILITIES if set(theirs.get(name, ())) & set(VERSIONS)}
    return frozenset(name for name in shared if name not in EXTENDS or shared & set(EXTENDS[name]))


def extends(capability: str) -> dict[str, str | list[str]]:
    """The member that names what an extension extends, as UCP writes it; none of a capability of its own."""
    parents = EXTENDS.get(capability, ())
    return {"extends": parents[0] if len(parents) == 1 else list(parents)} if parents else {}


def is_active(capability: str) -> bool:
    """Whether it counts in the answer at hand; all do where nothing was negotiated."""
    return capability in _ACTIVE.get()


@contextmanager
def negotiated(active: frozenset[str]) -> Iterator[None]:
    """Answer by these capabilities, within the block and this thread."""
    token = _ACTIVE.set(active)
    try:
        yield
    finally:
        _ACTIVE.reset(token)
