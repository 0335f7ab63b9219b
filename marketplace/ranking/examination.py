"""How likely a shopper is to look at a position.

An agent further down the page is seen less, so an exposure there is less of a chance. The position-based
click model says that a shopper examines position r with a probability that depends on r alone; its usual
form is (1/r)^η (Joachims, Swaminathan and Schnabel, “Unbiased Learning-to-Rank with Biased Feedback”,
WSDM 2017).

η is a prior for now: a list of text results is well described by η near 1, a grid of cards, where a whole
row is seen at once, by less; 0.5 is assumed. Each exposure stores the probability it was given, and 1–2 %
of sessions see two neighbours swapped, so η can be estimated later, and past exposures weighed again.
"""

from __future__ import annotations

from typing import Final

GRID_DECAY: Final = 0.5


def examination(position: int, *, decay: float = GRID_DECAY) -> float:
    """Probability in (0, 1] that a position (from 1) is examined. Raises ValueError for positions below 1."""
    if position < 1:
        raise ValueError("positions start at 1")
    return float(position**-decay)
