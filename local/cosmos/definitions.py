"""What a container is made with: the service's defaults for what was left out, and what it refuses."""

import json
from typing import Any

from local.cosmos.errors import bad_request
from local.cosmos.partitions import parse_definition, path_steps
from local.cosmos.validation import MAX_TTL, is_ttl

# The policy of a container that was made without one (index-policy). The service always excludes the ETag.
_ETAG_PATH = '/"_etag"/?'
_MODES = ("consistent", "none", "lazy")
_ROOTS = ("/*", "/")
# concepts-limits
_MAX_UNIQUE_KEYS = 10
_MAX_UNIQUE_PATHS = 16


def complete(body: dict[str, Any]) -> dict[str, Any]:
    """Return a container's own properties as the service keeps them.

    Raises:
        CosmosError: 400 naming the property and what it must be.
    """
    given = {name: value for name, value in body.items() if not name.startswith("_") and value is not None}
    default_ttl = given.get("defaultTtl", -1)
    if not is_ttl(default_ttl):
        raise bad_request(f"defaultTtl: -1 or a whole number from 1 to {MAX_TTL} is needed, not {default_ttl!r}")
    return {
        **given,
        "partitionKey": parse_definition(given.get("partitionKey")),
        "indexingPolicy": _indexing_policy(given.get("indexingPolicy", {})),
        "uniqueKeyPolicy": _unique_key_policy(given.get("uniqueKeyPolicy", {})),
        "conflictResolutionPolicy": given.get(
            "conflictResolutionPolicy",
            {"mode": "LastWriterWins", "conflictResolutionPath": "/_ts", "conflictResolutionProcedure": ""},
        ),
        "geospatialConfig": given.get("geospatialConfig", {"type": "Geography"}),
    }


def replaced(current: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """Return the properties that replace the current ones; a policy that is left out gets its default.

    Raises:
        CosmosError: 400 if what a container is made with for good would change, or for what :func:`complete` refuses.
    """
    wanted = complete({"uniqueKeyPolicy": unique_key_policy(current), **body})
    for name, made_with in (("partitionKey", current["partitionKey"]), ("uniqueKeyPolicy", unique_key_policy(current))):
        if wanted[name] != made_with:
            raise bad_request(f"{name}: a container keeps what it was made with")
    return wanted


def _indexing_policy(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise bad_request("indexingPolicy: an object is needed")
    mode = str(given.get("indexingMode", "consistent")).lower()
    if mode not in _MODES:
        raise bad_request(f"indexingPolicy.indexingMode: one of {', '.join(_MODES)} is needed")
    if mode == "none":
        if given.get("automatic"):
            raise bad_request("indexingPolicy.automatic: must be false where the mode is none")
        return {**given, "indexingMode": mode, "automatic": False, "includedPaths": [], "excludedPaths": []}
    paths = {
        name: _paths(given.get(name) or [], f"indexingPolicy.{name}") for name in ("includedPaths", "excludedPaths")
    }
    named = [one["path"] for group in paths.values() for one in group]
    if not set(_ROOTS) & set(named):
        if paths["includedPaths"]:
            raise bad_request("indexingPolicy: the root path /* must be included or excluded")
        paths["includedPaths"] = [{"path": "/*"}]
    if _ETAG_PATH not in named:
        paths["excludedPaths"].append({"path": _ETAG_PATH})
    return {**given, "indexingMode": mode, "automatic": given.get("automatic", True), **paths}


def _paths(given: Any, where: str) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(one, dict) and _is_path(one.get("path")) for one in given):
        raise bad_request(f"{where}: an array of objects with a path that starts with / is needed")
    # Kinds, data types and precisions of indexes are a thing of the past: the service takes and forgets them.
    return [{name: value for name, value in one.items() if name != "indexes"} for one in given]


def _unique_key_policy(given: Any) -> dict[str, Any]:
    keys = given.get("uniqueKeys", []) if isinstance(given, dict) else None
    if not isinstance(keys, list) or len(keys) > _MAX_UNIQUE_KEYS:
        raise bad_request(f"uniqueKeyPolicy.uniqueKeys: an array of at most {_MAX_UNIQUE_KEYS} keys is needed")
    for index, key in enumerate(keys):
        paths = key.get("paths") if isinstance(key, dict) else None
        if not isinstance(paths, list) or not 0 < len(paths) <= _MAX_UNIQUE_PATHS or not all(map(_is_path, paths)):
            where = f"uniqueKeyPolicy.uniqueKeys[{index}].paths"
            raise bad_request(f"{where}: 1 to {_MAX_UNIQUE_PATHS} paths that start with / are needed")
    return {"uniqueKeys": [{"paths": list(key["paths"])} for key in keys]}


def _is_path(path: Any) -> bool:
    return isinstance(path, str) and path.startswith("/")


def unique_key_policy(properties: dict[str, Any]) -> dict[str, Any]:
    """Return a container's unique keys, which state from before they were served lacks."""
    policy: dict[str, Any] = properties.get("uniqueKeyPolicy", {"uniqueKeys": []})
    return policy


def unique_values(policy: dict[str, Any], item: dict[str, Any]) -> list[str]:
    """Return what an item takes up of each unique key, as text; an absent property counts as null."""
    return [json.dumps([_value(item, path) for path in key["paths"]], sort_keys=True) for key in policy["uniqueKeys"]]


def _value(item: Any, path: str) -> Any:
    for step in path_steps(path):
        item = item.get(step) if isinstance(item, dict) else None
    return item
