"""Names what a request asks for: fault rules, permissions and handlers go by these names."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

_ACCOUNT = "Microsoft.DocumentDB/databaseAccounts"
_CONTAINERS = f"{_ACCOUNT}/sqlDatabases/containers"
_METADATA = (f"{_ACCOUNT}/readMetadata",)
# Queries through the SDKs need both (reference-data-plane-actions).
_QUERY = (f"{_CONTAINERS}/executeQuery", f"{_CONTAINERS}/readChangeFeed")


def item_action(kind: str) -> str:
    """Return the data action for one kind of item access: create, read, replace, upsert or delete."""
    return f"{_CONTAINERS}/items/{kind}"


# Data actions by operation; None is what no access token may do. There is no action for patch: the service is taken to
# ask for replace (docs/assumptions.md). A batch is authorized operation by operation.
ACTIONS: dict[str, tuple[str, ...] | None] = {
    "read_account": _METADATA,
    "create_database": None,
    "read_database": _METADATA,
    "list_databases": _METADATA,
    "delete_database": None,
    "create_container": None,
    "read_container": _METADATA,
    "list_containers": _METADATA,
    "replace_container": None,
    "delete_container": None,
    "read_ranges": _METADATA,
    "query_databases": None,
    "query_containers": None,
    "query_offers": None,
    "replace_offer": None,
    "read_conflicts": (f"{_CONTAINERS}/manageConflicts",),
    "read_conflict": (f"{_CONTAINERS}/manageConflicts",),
    "delete_partition_key": None,
    "create": (item_action("create"),),
    "read": (item_action("read"),),
    "upsert": (item_action("upsert"),),
    "replace": (item_action("replace"),),
    "patch": (item_action("replace"),),
    "delete": (item_action("delete"),),
    "batch": (),
    "query": _QUERY,
    "query_plan": _QUERY,
    "read_feed": _QUERY,
    "change_feed": (f"{_CONTAINERS}/readChangeFeed",),
}

_BY_SHAPE: dict[tuple[str, tuple[str, ...], bool], str] = {
    ("GET", (), False): "read_account",
    ("POST", ("dbs",), False): "create_database",
    ("GET", ("dbs",), False): "list_databases",
    ("GET", ("dbs",), True): "read_database",
    ("DELETE", ("dbs",), True): "delete_database",
    ("POST", ("dbs", "colls"), False): "create_container",
    ("GET", ("dbs", "colls"), False): "list_containers",
    ("GET", ("dbs", "colls"), True): "read_container",
    ("PUT", ("dbs", "colls"), True): "replace_container",
    ("DELETE", ("dbs", "colls"), True): "delete_container",
    ("GET", ("dbs", "colls", "pkranges"), False): "read_ranges",
    ("PUT", ("offers",), True): "replace_offer",
    ("GET", ("dbs", "colls", "conflicts"), False): "read_conflicts",
    ("POST", ("dbs", "colls", "conflicts"), False): "read_conflicts",
    ("GET", ("dbs", "colls", "conflicts"), True): "read_conflict",
    ("DELETE", ("dbs", "colls", "conflicts"), True): "read_conflict",
    ("GET", ("dbs", "colls", "docs"), True): "read",
    ("PUT", ("dbs", "colls", "docs"), True): "replace",
    ("PATCH", ("dbs", "colls", "docs"), True): "patch",
    ("DELETE", ("dbs", "colls", "docs"), True): "delete",
}
_ITEMS = ("dbs", "colls", "docs")
_QUERIES = {("dbs",): "query_databases", ("dbs", "colls"): "query_containers", ("offers",): "query_offers"}
_KEY_DELETION = "partitionkeydelete"


@dataclass(frozen=True, slots=True)
class Operation:
    """What a request asks for.

    ``names`` are the ids in its path: database, container, item; ``link`` is the path by them, to which rights apply.
    ``resource_type`` and ``signed`` are what the master key signs (_get_authorization_header in the SDK). ``name`` is
    ``unsupported`` for what is not served.
    """

    name: str
    names: tuple[str, ...]
    resource_type: str
    link: str
    signed: str

    @property
    def actions(self) -> tuple[str, ...] | None:
        """The data actions that it needs; None if no access token may do it."""
        return ACTIONS.get(self.name)


def operation_of(method: str, raw_path: str, headers: Mapping[str, str]) -> Operation:
    """Identify the operation of a request."""
    segments = [unquote(part) for part in raw_path.split("/") if part]
    types, names = tuple(segments[::2]), tuple(segments[1::2])
    named = bool(segments) and len(types) == len(names)
    link = "/".join(segments if named else segments[:-1])
    if types == ("offers",):  # addressed by its resource id, which is all that the key signs
        link = "".join(names)
    if method == "POST" and types == ("dbs", "colls", "operations") and names[2:] == (_KEY_DELETION,):
        container = "/".join(segments[:-2])
        return Operation("delete_partition_key", names[:2], "colls", container, container)
    return Operation(_name(method, types, headers, named=named), names, types[-1] if types else "", link, link)


def _name(method: str, types: tuple[str, ...], headers: Mapping[str, str], *, named: bool) -> str:
    if types == _ITEMS and not named:
        if method == "POST":
            return _posted(headers)
        if method == "GET":
            return "change_feed" if "a-im" in headers else "read_feed"
    if types in _QUERIES and not named and headers.get("x-ms-documentdb-isquery", "").lower() == "true":
        return _QUERIES[types]
    return _BY_SHAPE.get((method, types, named), "unsupported")


def _posted(headers: Mapping[str, str]) -> str:
    for header, name in (
        ("x-ms-cosmos-is-query-plan-request", "query_plan"),
        ("x-ms-documentdb-isquery", "query"),
        ("x-ms-cosmos-is-batch-request", "batch"),
        ("x-ms-documentdb-is-upsert", "upsert"),
    ):
        if headers.get(header, "").lower() == "true":
            return name
    return "create"
