"""What the service refuses about a resource before it looks anything up.

Limits are those of the page concepts-limits. For ids of items it says 1,023 bytes, for names of databases and
containers 255; the service's own messages, which Microsoft's tests of azure-cosmos look for, count both in characters.
"""

import json
from typing import Any

from local.cosmos.errors import bad_request, too_large
from local.cosmos.sql.values import number

MAX_ITEM_BYTES = 2 * 1024 * 1024
MAX_ID_BYTES = 1023
MAX_NAME_CHARACTERS = 255
MAX_NESTING = 128
MAX_TTL = 2**31 - 1
_FORBIDDEN_IN_ID = frozenset("/\\?#")
# A number is a double (IEEE 754): whole numbers beyond this are not all kept.


def parse_json(body: bytes) -> Any:
    """Parse a request's body; numbers become what a double keeps of them, whole ones without a fraction.

    Raises:
        CosmosError: 400 if it is not JSON, has a number beyond the range of a double or is nested too deeply; 413 if it
            is over 2 MB.
    """
    if len(body) > MAX_ITEM_BYTES:
        raise too_large(f"Request size is too large: {len(body)} bytes, the limit is {MAX_ITEM_BYTES}")
    try:
        content = json.loads(body, parse_constant=number, parse_float=number, parse_int=number)
        if b"\\ud" in body.lower():  # half of a surrogate pair is JSON, but not text that can be answered
            json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise bad_request(f"The request payload is invalid: {error}") from error
    if body.count(b"{") + body.count(b"[") > MAX_NESTING and _depth(content) > MAX_NESTING:
        raise bad_request(f"The request payload is invalid: it is nested more than {MAX_NESTING} levels deep")
    return content


def check_name(body: Any) -> str:
    """Return the ``id`` of a database or container; raises CosmosError (400) naming what is wrong with it."""
    name = _id_of(body)
    if len(name) > MAX_NAME_CHARACTERS:
        raise _too_long(MAX_NAME_CHARACTERS)
    return name


def check_id(body: Any) -> str:
    """Return the ``id`` of an item; raises CosmosError (400) naming what is wrong with it."""
    name = _id_of(body)
    if len(name.encode()) > MAX_ID_BYTES:
        raise _too_long(MAX_ID_BYTES + 1)
    return name


def is_ttl(value: Any) -> bool:
    """Tell whether the value is a time to live: a number of seconds, or -1 for ever."""
    return isinstance(value, int) and not isinstance(value, bool) and (value == -1 or 0 < value <= MAX_TTL)


def check_ttl(item: dict[str, Any]) -> None:
    """Refuse an item whose ``ttl`` is none; raises CosmosError (400)."""
    if not is_ttl(item.get("ttl", -1)):
        raise bad_request(f"ttl: -1 or a whole number from 1 to {MAX_TTL} is needed, not {item['ttl']!r}")


def _depth(content: Any) -> int:
    depth, level = 0, [content]
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return depth


def _id_of(body: Any) -> str:
    if not isinstance(body, dict):
        raise bad_request("The request payload is invalid: a JSON object is needed")
    name = body.get("id")
    if not isinstance(name, str) or not name:
        raise bad_request("The input content is invalid because the required property 'id' is missing or not a string")
    if _FORBIDDEN_IN_ID.intersection(name) or name != name.rstrip():
        raise bad_request("id: the characters / \\ ? # and trailing white space are not allowed")
    return name


def _too_long(limit: int) -> Exception:
    return bad_request(f"id: Ensure to provide a unique non-empty string less than '{limit}' characters.")
