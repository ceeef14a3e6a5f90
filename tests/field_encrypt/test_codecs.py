"""Values that JSON does not have: written and read back as what they were, told in the field."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from field_encrypt import STANDARD_CODECS, Codecs
from field_encrypt.errors import InvalidFieldError, InvalidSettingError, InvalidValueError, UnknownCodecError

VALUES = (
    st.datetimes(timezones=st.none() | st.just(UTC) | st.just(timezone(timedelta(hours=-3, minutes=-30)))).map(
        lambda value: value.replace(fold=0)  # ISO 8601 has no sign for it
    )
    | st.dates()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.uuids()
    | st.binary()
)


@given(value=VALUES)
def test_values_come_back_as_what_they_were(value: Any) -> None:
    """Of their type, and equal; a decimal keeps its zeros."""
    back = STANDARD_CODECS.from_plaintext(STANDARD_CODECS.to_plaintext(value, "at"), "at")

    assert (type(value), repr(value)) == (type(back), repr(back))


@pytest.mark.parametrize(
    ("value", "plaintext"),
    [
        (datetime(2026, 11, 24, 12, 30, tzinfo=UTC), b'@datetime:"2026-11-24T12:30:00+00:00"'),
        (date(2026, 11, 24), b'@date:"2026-11-24"'),
        (Decimal("1.50"), b'@decimal:"1.50"'),
        (UUID(int=1), b'@uuid:"00000000-0000-0000-0000-000000000001"'),
        (b"\xff\x00", b'@bytes:"/wA="'),
        ("@date:", b'"@date:"'),
        ({"a": 1}, b'{"a":1}'),
    ],
)
def test_plaintext_tells_its_codec(value: Any, plaintext: bytes) -> None:
    """Each has the text that the specification gives it, and no JSON value is mistaken for one."""
    assert STANDARD_CODECS.to_plaintext(value, "at") == plaintext
    assert STANDARD_CODECS.from_plaintext(plaintext, "at") == value


@dataclass(frozen=True)
class Money:
    """A value of an application."""

    amount: int
    currency: str


def with_money() -> Codecs:
    """Return the standard codecs and the application's."""
    return STANDARD_CODECS.adding("money", Money, lambda money: [money.amount, money.currency], lambda raw: Money(*raw))  # type: ignore[misc]  # a value of a test


def test_application_adds_its_own() -> None:
    """A codec is registered by its type, and the others stay as they are."""
    plaintext = with_money().to_plaintext(Money(5, "EUR"), "price")

    assert plaintext == b'@money:[5,"EUR"]'
    assert with_money().from_plaintext(plaintext, "price") == Money(5, "EUR")
    with pytest.raises(UnknownCodecError) as unknown:
        STANDARD_CODECS.from_plaintext(plaintext, "price")
    assert (unknown.value.field_path, unknown.value.codec) == ("price", "money")


@pytest.mark.parametrize(
    ("name", "kind"), [("Money", Money), ("", Money), ("a b", Money), ("date", Money), ("second", date)]
)
def test_codec_without_a_name_and_type_of_its_own_is_refused(name: str, kind: type) -> None:
    """A name that was written once never changes its meaning."""
    with pytest.raises(InvalidSettingError):
        STANDARD_CODECS.adding(name, kind, str, kind)


def test_codec_of_an_application_may_fail_as_it_likes() -> None:
    """What it cannot find in a stored value ends in the library's error too, which does not quote the value."""
    codecs = STANDARD_CODECS.adding("money", Money, lambda money: {"amount": money.amount}, lambda raw: raw["secret"])  # type: ignore[index]  # a faulty one

    with pytest.raises(InvalidFieldError, match="money") as refused:
        codecs.from_plaintext(codecs.to_plaintext(Money(5, "EUR"), "price"), "price")

    assert refused.value.__cause__ is refused.value.__context__ is None


@pytest.mark.parametrize(
    "value",
    [
        Decimal("NaN"),
        Decimal("Infinity"),
        {1, 2},
        [date(2026, 1, 1)],
        2j,
        datetime(2026, 1, 1, tzinfo=timezone(timedelta(microseconds=5))),  # Python would read it back as another time
    ],
)
def test_value_without_a_codec_is_refused(value: Any) -> None:
    """A codec is for the whole value of a field; the error names the field and never quotes the value."""
    with pytest.raises(InvalidValueError) as refused:
        STANDARD_CODECS.to_plaintext(value, "at")

    assert refused.value.field_path == "at"
    assert "2026" not in str(refused.value)


@pytest.mark.parametrize(
    "plaintext", [b'@date:"no date"', b"@date:5", b'@bytes:"x"', b"@uuid:null", b"@date:", b"@", b"x"]
)
def test_plaintext_that_its_codec_cannot_read_is_named(plaintext: bytes) -> None:
    """What a faulty writer stored ends in the library's error, and the plaintext is not in it."""
    with pytest.raises(InvalidFieldError) as refused:
        STANDARD_CODECS.from_plaintext(plaintext, "at")

    assert (refused.value.field_path, refused.value.property_name) == ("at", "ct")
    assert refused.value.__cause__ is refused.value.__context__ is None
