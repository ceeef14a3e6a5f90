"""Cursors and session tokens of many physical partitions: small in durable history, and the same as before."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from keyturn.contracts.base import Policy, RunRef
from keyturn.contracts.pages import PACK_BYTES, RANGES_MAX, packed, unpacked
from keyturn.contracts.passes import PassInput
from keyturn.contracts.steps import SoakInput
from keyturn.cosmos.client import list_feed_ranges, read_feed_page
from tests.keyturn.local_keyring import LocalKeyring
from tests.orchestrators.large_store import bounds, cursor, feed_range

RUN = RunRef(run_id="notes.20261124T120000Z.abcdef", keyring="notes", fencing_token=1)
EVENT_BYTES_MAX = 64 * 1024
LAST = 10**10  # a position in a partition that saw ten billion changes


def soaking(count: int, *, split: bool) -> SoakInput:
    """Return the largest input there is: a soak's, every range of which was split since it was listed, or none."""
    places = {feed_range(*one): cursor(*one, *range(LAST, LAST + 1 + split)) for one in bounds(count)}
    tokens = {name: f"{number}:1#{LAST + number**2}#4=-1" for number, name in enumerate(places)}
    return SoakInput(
        run=RUN, target_version="f" * 32, policy=Policy(), session_tokens=tokens, cursors=places, proof_cursors=places
    )


@pytest.mark.parametrize("split", [False, True])
def test_the_largest_store_fits_an_event(*, split: bool) -> None:
    """Two cursors and a token for each partition stay within 64 KiB, also after every partition was split."""
    given_input = soaking(RANGES_MAX, split=split)
    payload = given_input.to_payload()

    assert len(json.dumps(payload)) <= EVENT_BYTES_MAX
    assert SoakInput.from_payload(payload) == given_input


def test_a_few_are_left_as_they_are() -> None:
    """What a small store leaves in history can be read there, and what release 0.1 has left is taken."""
    given_input = soaking(2, split=False)
    payload = given_input.to_payload()

    assert payload["cursors"] == given_input.cursors
    assert SoakInput.from_payload(payload) == given_input


async def test_real_cursors_come_back_as_they_were(local_keyring: LocalKeyring) -> None:
    """Those of the database's own change feed, one of them after a split."""
    await local_keyring.fill(20)
    names = await list_feed_ranges(local_keyring.container)
    local_keyring.split("0")
    places = {name: (await read_feed_page(local_keyring.container, name, None, 5)).cursor for name in names}
    places |= {f"{name}{number}": place for number in range(20) for name, place in places.items()}

    text = packed(places)

    assert isinstance(text, str)
    assert len(text) < len(json.dumps(places)) / 10
    assert unpacked(text) == places


LARGE = "x" * PACK_BYTES


@given(st.dictionaries(st.text(), st.none() | st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode())))
def test_whatever_the_cursors_are_they_come_back(places: dict[str, str | None]) -> None:
    """A cursor that is no base64, or base64 of no text, is kept as it is."""
    text = packed({**places, LARGE: None})

    assert isinstance(text, str)
    assert unpacked(text) == {**places, LARGE: None}


@pytest.mark.parametrize("text", ["", "no base64!", base64.urlsafe_b64encode(b"not packed").decode()])
def test_a_text_that_was_not_packed_is_refused(text: str) -> None:
    """As any other payload that is not what it claims to be."""
    values: dict[str, Any] = {"run": RUN, "target_version": "", "operation": "rewrap", "policy": Policy()}
    with pytest.raises(ValidationError):
        PassInput.model_validate({**values, "operations_per_second": 1.0, "cursors": text})
