"""What people do about marked texts: an operator decides, a merchant asks for a second look."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from agentstore.identity.models import Organization, User
from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, Invalid, NotFound
from marketplace.catalog.hostile.examining import move_text
from marketplace.catalog.models import MarkedText, Product
from marketplace.catalog.products import restore_product, withhold_product

_Status = MarkedText.Status
DECISIONS: Final = {
    "keep": (_Status.KEPT, "Keep marked"),
    "clear": (_Status.CLEARED, "Clear"),
    "hide": (_Status.HIDDEN, "Hide product"),
}


class InvalidDecision(Invalid):
    """No such decision, or none given a reason."""

    code = "invalid_decision"


class NothingToDecide(Conflict):
    """The text is no longer there, or a review is asked for already."""

    code = "nothing_to_decide"


@transaction.atomic
def decide_text(*, text_id: int, decision: str, by: User, reason: str) -> MarkedText:
    """Keep a text marked, clear it, or hide its product. The caller has checked that `by` is an operator.

    Clearing a text lets its product back if that was hidden because of it and no other text still hides it; one that
    was withheld for another reason stays so. Raises NotFound, InvalidDecision, NothingToDecide.
    """
    if decision not in DECISIONS:
        raise InvalidDecision(f"A decision is one of {', '.join(DECISIONS)}.")
    if not reason.strip():
        raise InvalidDecision("Give the reason; it is kept, and its merchant reads it.")
    row = MarkedText.objects.select_for_update().filter(pk=text_id).first()
    if row is None:
        raise NotFound("There is no such text.")
    if row.status == _Status.GONE:
        raise NothingToDecide("The text is no longer there.")
    product = Product.objects.select_for_update(no_key=True).get(pk=row.product_id)
    others = MarkedText.objects.filter(product=product, hid_product=True).exclude(pk=row.pk).exists()
    hidden = row.hid_product
    otherwise_withheld = product.status == Product.Status.WITHHELD and not hidden and not others
    row.hid_product = decision == "hide" and not otherwise_withheld
    row.asked_at = None
    move_text(row, to=DECISIONS[decision][0], reason=reason.strip(), by=by)
    if decision == "hide":
        withhold_product(product_id=product.pk, by=by, reason=reason.strip())
    elif hidden and not others:
        restore_product(product_id=product.pk, by=by, reason=reason.strip())
    return row


@transaction.atomic
def ask_for_review(*, text_id: int, merchant: Organization, by: User, reason: str) -> MarkedText:
    """Have an operator look at a mark (again). Raises NotFound for other merchants' texts, InvalidDecision without a
    reason, NothingToDecide where there is no mark or it is being looked at."""
    row = MarkedText.objects.select_for_update().filter(pk=text_id, product__owner=merchant).first()
    if row is None:
        raise NotFound("There is no such text.")
    if not reason.strip():
        raise InvalidDecision("Say why the text is harmless.")
    if row.asked_at or row.status in (_Status.GONE, _Status.CLEARED):
        raise NothingToDecide("There is nothing to review.", hint="Each mark is reviewed once at a time.")
    row.asked_at = now()
    move_text(row, to=_Status.OPEN, reason=reason.strip()[:2_000], by=by)
    return row
