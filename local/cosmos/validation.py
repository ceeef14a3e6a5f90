"""What the service refuses about a resource before it looks anything up."""

import json
from typing import Any, NoReturn

from local.cosmos.errors import bad_request, too_large

MAX_ITEM_BYTES = 2 * 1024 * 1024
MAX_ID_BYTES = 1023
_FORBIDDEN_IN_ID = frozenset("/\\?#")


def parse_json(body: bytes) -> Any:
    """Parse a request's body.

    Raises:
        CosmosError: 400 if it is not JSON, 413 if it is over 2 MB.
    """
    if len(body) > MAX_ITEM_BYTES:
        raise too_large(f"Request size is too large: {len(body)} bytes, the limit is {MAX_ITEM_BYTES}")
    try:
        content = json.loads(body, parse_constant=_refuse_constant)
        if b"\\ud" in body.lower():  # half of a surrogate pair is JSON, but not text that can be answered
            json.dumps(content, ensure_ascii=False).encode()
    except (json.JSONDecodeError, UnicodeError, RecursionError) as error:
        raise bad_request(f"The request payload is invalid: {error}") from error
    return content


def check_id(body: Any) -> str:
    """Return the ``id`` of a resource.

    Raises:
        CosmosError: 400 naming what is wrong with it.
    """
    if not isinstance(body, dict):
        raise bad_request("The request payload is invalid: a JSON object is needed")
    name = body.get("id")
    if not isinstance(name, str) or not name:
        raise bad_request("The input content is invalid because the required property 'id' is missing or not a string")
    if len(name.encode()) > MAX_ID_BYTES:
        raise bad_request(f"id: at most {MAX_ID_BYTES} bytes are allowed")
    if _FORBIDDEN_IN_ID.intersection(name) or name != name.rstrip():
        raise bad_request("id: the characters / \\ ? # and trailing white space are not allowed")
    return name


def _refuse_constant(name: str) -> NoReturn:
    raise bad_request(f"The request payload is invalid: {name} is not JSON")
