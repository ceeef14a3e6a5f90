"""The census's SQL against the classification in Python: the same rows, whatever shape they have."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from field_encrypt.row_states import Row, RowKind, classify
from keyturn.deks.queries import EVERY, Condition, Conditions
from tests.field_encrypt.local_cosmos import new_container
from tests.keyturn.local_keyring import OLD, TARGET, keyring_of, plain_row

pytestmark = pytest.mark.usefixtures("mixed_types")

KEYRING = keyring_of()
CONDITIONS = Conditions(KEYRING, TARGET)
OUR_KEY = "https://notes.vault.azure.net/keys/notelett-mek"

LABELS: list[Any] = [
    *(..., None, "", OLD, TARGET, TARGET.upper(), TARGET + "0", 0, 1.5, True, False, [], [TARGET], {}, {"a": TARGET}),
    *(
        f"{OUR_KEY}/{TARGET}",
        f"{OUR_KEY}/{TARGET}/",
        f"{OUR_KEY}/{OLD}",
        OUR_KEY,
        f"{OUR_KEY}/",
        f"{OUR_KEY}2/{TARGET}",
    ),
    *(f"{OUR_KEY}/{TARGET}".upper(), OUR_KEY.upper(), f"https://other.vault.azure.net/keys/notelett-mek/{TARGET}"),
    *(
        f"https://note\u017f.vault.azure.net/keys/notelett-mek/{TARGET}",
        f"https://notes.vault.azure.net/keys/notelett-me\u212a/{OLD}",
    ),
    *("https://", "HTTPS://x", "http://notes.vault.azure.net/keys/notelett-mek/1", " " + TARGET, "\u017f", "\u212a"),
]
NAMES: list[Any] = [
    ...,
    None,
    "",
    "notelett-mek",
    "NOTELETT-MEK",
    "other",
    "notelett-mek2",
    "notelett-me\u212a",
    0,
    True,
    [],
    {},
    " ",
]


def _is_stale(row: Row) -> bool:
    return row.kind is not RowKind.FOREIGN and not row.on_target


BUCKETS: dict[str, tuple[Condition, Callable[[Row], bool]]] = {
    "on target": (CONDITIONS.on_target, lambda row: row.on_target),
    "stale": (CONDITIONS.stale, _is_stale),
    "foreign": (CONDITIONS.foreign, lambda row: row.kind is RowKind.FOREIGN),
    "unlabelled": (
        CONDITIONS.unlabelled,
        lambda row: _is_stale(row) and row.raw.get("mekVersion") is None,
    ),
    "labelled": (
        CONDITIONS.labelled,
        lambda row: row.kind is not RowKind.FOREIGN and isinstance(row.raw.get("mekVersion"), str),
    ),
    "labelled as the old version": (
        CONDITIONS.labelled_as(OLD),
        lambda row: row.kind is not RowKind.FOREIGN and row.raw.get("mekVersion") == OLD,
    ),
    "every": (EVERY, lambda _row: True),
}


@pytest.fixture(scope="module")
async def container(cosmos_client: CosmosClient) -> ContainerProxy:
    """A store that the tests of this module fill."""
    return await new_container(cosmos_client, "shapes")


async def disagreements(container: ContainerProxy, items: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Store the items and return each that SQL and Python put into different buckets."""
    await asyncio.gather(*(container.create_item(item) for item in items))
    stored = [{**item, "_etag": "", "_ts": 1} for item in items]
    found: list[tuple[str, dict[str, Any]]] = []
    for name, (condition, expected) in BUCKETS.items():
        query, parameters = condition.query("VALUE c.id")
        selected = {row_id async for row_id in container.query_items(query, parameters=parameters)}
        found += [
            (name, item) for item in stored if (item["id"] in selected) != expected(classify(item, KEYRING, TARGET))
        ]
    return found


async def test_sql_and_python_agree_on_every_shape_of_label_and_name(container: ContainerProxy) -> None:
    """Every combination of the labels and names, absent and odd ones included, is in the same buckets for both."""
    items = [plain_row(mekVersion=label, mekName=name) for label, name in itertools.product(LABELS, NAMES)]

    found = await disagreements(container, items)

    assert found == []


ODD = st.sampled_from(LABELS) | st.text(max_size=8) | st.integers(-3, 3) | st.none() | st.booleans()
KEY_IDS = st.builds(
    lambda scheme, host, name, version: f"{scheme}://{host}/keys/{name}/{version}",
    st.sampled_from(["https", "HTTPS", "http"]),
    st.sampled_from(["notes.vault.azure.net", "NOTES.vault.azure.net", "notes.vault.azure.net:443", "other"]),
    st.sampled_from(["notelett-mek", "Notelett-Mek", "notelett-mek2", ""]),
    st.sampled_from([OLD, TARGET, TARGET.upper(), "", "a/b"]),
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(st.tuples(ODD | KEY_IDS, ODD | st.sampled_from(NAMES)), min_size=20, max_size=40))
async def test_sql_and_python_agree_on_generated_rows(container: ContainerProxy, rows: list[tuple[Any, Any]]) -> None:
    """Rows with generated labels and names are in the same buckets for both."""
    found = await disagreements(container, [plain_row(mekVersion=label, mekName=name) for label, name in rows])

    assert found == []
