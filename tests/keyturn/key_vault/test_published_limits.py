"""The vault's published limits as operations a second."""

import pytest

from keyturn.errors import OperatorError
from keyturn.key_vault.pacing import operations_per_second


@pytest.mark.parametrize(
    ("key_type", "key_size", "share", "expected"),
    [
        ("RSA", 4096, 0.7, 35.0),
        ("RSA", 4096, 1, 50.0),
        ("RSA", 3072, 1, 100.0),
        ("RSA", 2048, 0.5, 200.0),
        ("RSA-HSM", 4096, 0.7, 17.5),
        ("RSA-HSM", 2048, 1, 200.0),
    ],
)
def test_a_share_of_the_published_limit(key_type: str, key_size: int, share: float, expected: float) -> None:
    """A caller's share is that share of the limit for the key's kind and size."""
    assert operations_per_second(key_type, key_size, share) == pytest.approx(expected)


def test_an_unpublished_limit_is_not_guessed() -> None:
    """For a key without a published limit there is an error that names what is known."""
    with pytest.raises(OperatorError) as raised:
        operations_per_second("EC", 256, 0.5)

    assert "RSA 4096" in raised.value.facts["known"]
