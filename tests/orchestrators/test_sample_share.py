"""What share of the rewrapped rows a proof takes."""

import pytest

from keyturn.contracts.base import ProofScope
from orchestrators.soak import sample_share


@pytest.mark.parametrize(
    ("proof", "rewrapped", "share"),
    [
        ("all", 1000, 1.0),
        ("unsafe_off", 1000, 1.0),
        ("sample:100", 0, 1.0),
        ("sample:10", 20, 1.0),
        ("sample:10", 250, 0.1),
        ("sample:108", 14_400, 0.01),
    ],
)
def test_share_is_what_the_policy_wants_and_three_deviations_more(proof: str, rewrapped: int, share: float) -> None:
    """A sample is drawn so large that fewer rows than the policy wants come together only once in hundreds of times."""
    assert pytest.approx(sample_share(ProofScope.parse(proof), rewrapped)) == share
