"""Principals as App Service Authentication describes them."""

import base64
import json
from typing import Any

OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
MAPPED_ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
PERSON_ID = "5b5450db-eb26-4c1a-981c-ba1d25f0483d"


def encoded(document: Any) -> str:
    """Return a header that holds the JSON value."""
    return base64.b64encode(json.dumps(document).encode()).decode()


def header_of(*roles: str, name: str = "ada@example.com", object_id: str = PERSON_ID, **changed: Any) -> str:
    """Return the header of a person; ``changed`` replaces members of the document."""
    claims = [(OBJECT_ID, object_id), ("preferred_username", name), *(("roles", role) for role in roles)]
    document = {
        "auth_typ": "aad",
        "claims": [{"typ": kind, "val": value} for kind, value in claims],
        "name_typ": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
        "role_typ": MAPPED_ROLE,
    }
    return encoded(document | changed)


def claims(*pairs: tuple[str, Any]) -> list[dict[str, Any]]:
    """Return claims as the document lists them."""
    return [{"typ": kind, "val": value} for kind, value in pairs]
