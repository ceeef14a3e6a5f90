"""The conditions by which rows are counted and selected, in Cosmos DB's SQL.

They agree exactly with :func:`field_encrypt.row_states.classify`. In SQL a comparison with an absent property is
undefined, one across types may be; so is its negation, and a row for which WHERE is undefined is not counted. So every
comparison stands behind IS_STRING, and what is negated is never undefined: a row without a label must not fall through
a ``!=``.
All functions used here are served from the index.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azure.cosmos.aio import ContainerProxy

from field_encrypt.row_states import KEY_ID_SCHEME, ROTATION_ID, kid_prefix
from keyturn.cosmos.client import cosmos_failures
from keyturn.deks.store import RESOURCE
from keyturn.settings import Keyring

ANY_RUN = "*"
COUNT = "VALUE COUNT(1)"  # a count that the service spreads over several pages comes in parts: they are to be summed


@dataclass(frozen=True, slots=True)
class Condition:
    """A WHERE clause, empty for every row, and the parameters that it uses."""

    text: str
    parameters: Mapping[str, str | int]

    def query(self, selected: str, source: str = "c") -> tuple[str, list[dict[str, Any]]]:
        """Return the query that selects this of the rows that the condition holds for, and its parameters."""
        where = f" WHERE {self.text}" if self.text else ""
        used = [{"name": name, "value": value} for name, value in self.parameters.items() if name in self.text]
        return f"SELECT {selected} FROM {source}{where}", used  # noqa: S608 - our own text and quoted names; values are parameters

    def having(self, text: str, **values: str | int) -> "Condition":
        """Return the condition for those of its rows for which this holds too; ``values`` are by parameters' names."""
        parameters = {**self.parameters, **{f"@{name}": value for name, value in values.items()}}
        return Condition(f"{self.text} AND {text}" if self.text else text, parameters)

    def changed(self, *, after: int | None = None, until: int | None = None) -> "Condition":
        """Return the condition for those of its rows that the service saw change last in this time, in Unix seconds."""
        found = self if after is None else self.having("c._ts > @after", after=after)
        return found if until is None else found.having("c._ts <= @until", until=until)


EVERY = Condition("", {})


async def select_rows(
    container: ContainerProxy,
    condition: Condition,
    selected: str,
    *,
    source: str = "c",
    feed_range: str | None = None,
    session_token: str | None = None,
    resource: str = RESOURCE,
) -> list[Any]:
    """Return what is selected of the items of all feed ranges, or of one; raises KeyturnError as the failure means."""
    query, parameters = condition.query(selected, source)
    where: dict[str, Any] = {} if feed_range is None else {"feed_range": json.loads(feed_range)}
    async with cosmos_failures(resource, "query"):
        found = container.query_items(query, parameters=parameters, session_token=session_token, **where)
        return [value async for value in found]


def has_id(item_id: str) -> Condition:
    """Return the condition for the items of this id, one in each partition at most."""
    return Condition("c.id = @id", {"@id": item_id})


class Conditions:
    """The conditions of a census for one keyring and target version."""

    def __init__(self, keyring: Keyring, target_version: str) -> None:
        self.keyring, names = keyring, keyring.row_names
        self.label = label = property_path(names.mek_version)
        name = property_path(names.mek_name)
        parameters = {
            "@mekName": keyring.mek_name,
            "@scheme": KEY_ID_SCHEME,
            "@keyIdPrefix": kid_prefix(keyring),
            "@keyId": kid_prefix(keyring).removesuffix("/"),
            "@targetKeyId": f"{kid_prefix(keyring)}{target_version}",
            "@targetVersion": target_version,
        }
        foreign_name = f'(IS_STRING({name}) AND {name} != "" AND NOT STRINGEQUALS({name}, @mekName, true))'
        foreign_key_id = (
            f"(IS_STRING({label}) AND STARTSWITH({label}, @scheme, true)"
            f" AND NOT STARTSWITH({label}, @keyIdPrefix, true) AND NOT STRINGEQUALS({label}, @keyId, true))"
        )
        foreign = f"({foreign_name} OR {foreign_key_id})"
        on_target = f"(IS_STRING({label}) AND ({label} = @targetVersion OR STRINGEQUALS({label}, @targetKeyId, true)))"
        self.foreign = Condition(foreign, parameters)  # rows that name another key or vault; all others are ours
        self.ours = Condition(f"NOT {foreign}", parameters)
        self.on_target = self.ours.having(on_target)
        self.stale = self.ours.having(f"NOT {on_target}")  # rows without a label included
        self.unlabelled = self.ours.having(f"(NOT IS_DEFINED({label}) OR IS_NULL({label}))")
        self.labelled = self.ours.having(f"IS_STRING({label})")

    def labelled_as(self, label: str) -> Condition:
        """Rows of ours with exactly this label."""
        return self.labelled.having(f"{self.label} = @label", label=label)

    def rewrapped_by(self, *run_ids: str) -> Condition:
        """Rows on the target that one of these runs, or ANY_RUN, has put there."""
        stamp = property_path(ROTATION_ID)
        moved = self.on_target.having(f"IS_STRING({stamp})")
        if ANY_RUN in run_ids:
            return moved
        values = {f"run{number}": run_id for number, run_id in enumerate(run_ids)}
        return moved.having(f"{stamp} IN ({', '.join(f'@{name}' for name in values)})", **values)


def property_path(name: str) -> str:
    """Return how a query names a top-level property."""
    return f"c[{json.dumps(name)}]"
