"""Session tokens merged, kept by range, and sufficient for what they stand for."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.cosmos.client import list_feed_ranges
from keyturn.cosmos.session_tokens import SessionLog, merge_session_tokens, token_for
from tests.keyturn.local_keyring import LocalKeyring, plain_row

MERGED: dict[str, tuple[list[str], str]] = {
    "the newer of one partition": (["1:1#51", "1:1#55", "1:1#53"], "1:1#55"),
    "partitions side by side": (["1:1#51", "0:1#40"], "0:1#40,1:1#51"),
    "regions each at their newest": (["1:1#57#3=54", "1:1#58#3=53"], "1:1#58#3=54"),
    "a newer version's regions only": (["1:1#57#3=54#4=9", "1:2#58#3=53"], "1:2#58#3=53"),
    "several partitions in one token": (["0:1#5,1:1#9", "0:1#7,1:1#8"], "0:1#7,1:1#9"),
    "a version below zero": (["0:-1#5", "0:-1#6"], "0:-1#6"),
}


@pytest.mark.parametrize("case", MERGED)
def test_merging_keeps_the_newest(case: str) -> None:
    """The merged token is as new as each of the tokens, for every partition and region."""
    tokens, expected = MERGED[case]

    merged = merge_session_tokens(*({"range": token} for token in tokens))

    assert merged == {"range": expected}


TOKENS = st.dictionaries(
    st.sampled_from("ab"), st.builds("{}:1#{}#7={}".format, st.integers(0, 2), st.integers(0, 9), st.integers(0, 9))
)


@given(TOKENS, TOKENS, TOKENS)
def test_the_order_of_merging_does_not_matter(
    first: dict[str, str], second: dict[str, str], third: dict[str, str]
) -> None:
    """Pages come back in any order, and some twice."""
    merged = merge_session_tokens(first, second, third)

    assert merge_session_tokens(third, merge_session_tokens(second, first), first) == merged


async def test_writes_are_kept_under_the_range_that_holds_them(local_keyring: LocalKeyring) -> None:
    """Every range that was written to has the token of its newest write, and none of another range."""
    log, ids = SessionLog(local_keyring.container), [plain_row()["id"] for _ in range(12)]
    for row_id in ids:
        written = await local_keyring.container.create_item(plain_row(row_id))
        await log.record(row_id, written.get_response_headers()["x-ms-session-token"])

    assert await list_feed_ranges(local_keyring.container) == sorted(
        log.tokens, key=lambda text: str(json.loads(text)["Range"]["min"])
    )
    assert sorted(token.partition(":")[0] for token in log.tokens.values()) == ["0", "1"]
    assert sum(int(token.rpartition("#")[2]) for token in log.tokens.values()) == 12


async def test_a_range_without_writes_needs_no_token(local_keyring: LocalKeyring) -> None:
    """Where nothing was written, a read needs no token."""
    first, second = await list_feed_ranges(local_keyring.container)

    assert await token_for(local_keyring.container, second, {first: "0:1#5"}) is None


async def test_tokens_survive_a_split(local_keyring: LocalKeyring) -> None:
    """The token of a partition that was split is used for each of its children."""
    whole, _ = await list_feed_ranges(local_keyring.container)
    local_keyring.split("0")
    children = (await list_feed_ranges(local_keyring.container))[:2]

    assert [await token_for(local_keyring.container, child, {whole: "0:1#5"}) for child in children] == ["0:1#5"] * 2
