"""The arithmetic of fees, for all amounts and rates."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from agentstore.kit.money import PPM, Money
from billing import fees

amounts = st.integers(min_value=0, max_value=10**13)
rates = st.integers(min_value=0, max_value=PPM)


@dataclass(frozen=True)
class FlatPrices:
    """Prices without categories."""

    fee: int = 150_000
    tax: int = 150_000
    share: int = 700_000

    def ppcv(self, category: str) -> Money:
        return Money(self.fee, "USD")

    def tax_ppm(self, category: str) -> int:
        return self.tax

    def share_ppm(self, category: str = "") -> int:
        return self.share


@given(amounts, rates)
def test_a_ppcv_fee_is_split_without_loss(fee, share):
    split = fees.ppcv_fee(FlatPrices(fee=fee, share=share), "")
    assert split.developer + split.platform == split.total == fee
    assert 0 <= split.developer <= fee


@given(amounts, rates, rates)
def test_a_tax_is_within_half_a_micro_of_its_rate(sale, tax, share):
    fee = fees.agent_tax(FlatPrices(tax=tax, share=share), "", sale)
    assert abs(fee.total - Fraction(sale * tax, PPM)) <= Fraction(1, 2)
    assert fee.developer + fee.platform == fee.total


@given(st.integers(min_value=1, max_value=10**12), rates, rates, st.data())
def test_partial_refunds_that_end_in_the_whole_return_the_whole_fee(sale, tax, share, data):
    fee = fees.agent_tax(FlatPrices(tax=tax, share=share), "", sale)
    before, developer, platform = 0, 0, 0
    refunded = data.draw(
        st.lists(st.integers(0, sale), max_size=12), label="refunded after each but the last"
    )
    for after in [*sorted(refunded), sale]:
        now = after - before
        back = fees.returned_part(fee, sale, before, now)
        assert back.developer >= 0
        assert back.platform >= 0
        developer, platform, before = developer + back.developer, platform + back.platform, before + now
        assert abs(developer - Fraction(fee.developer * before, sale)) <= Fraction(1, 2)
        assert abs(platform - Fraction(fee.platform * before, sale)) <= Fraction(1, 2)
    assert (developer, platform) == (fee.developer, fee.platform)


def test_earnings_on_a_sale_of_129_dollars():
    earnings = fees.earnings_on_sale(FlatPrices(), "electronics", Money(129_000_000, "USD"))
    assert str(earnings.tax) == "$19.35"
    assert str(earnings.developer) == "$13.545"
    assert str(earnings.store) == "$5.805"
