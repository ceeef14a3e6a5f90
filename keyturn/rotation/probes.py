"""Asks the backend what the settings expect of it: a status, and a text or JSON members of the body.

What is sent may be secret, and what comes back is the backend's data: a result holds neither, only which check failed.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError

from keyturn.runs.record_parts import Probe
from keyturn.settings import HealthProbe
from keyturn.settings.types import UNRESOLVED

TIMEOUT_SECONDS = 10  # of one probe, its token included
BODY_BYTES_MAX = 64 * 1024  # what is read of a body


async def probe_all(probes: Sequence[HealthProbe], credential: AsyncTokenCredential) -> list[Probe]:
    """Make every request once; no answer is a failed probe, never an error."""
    async with aiohttp.ClientSession() as session:
        return [await _probe(session, probe, credential) for probe in probes]


async def _probe(session: aiohttp.ClientSession, probe: HealthProbe, credential: AsyncTokenCredential) -> Probe:
    shown = probe.url.partition("?")[0]  # a query may hold a key, and the record is read by many
    headers = {header: value.get_secret_value() for header, value in probe.headers.items()}
    if unresolved := [header for header, value in headers.items() if value.startswith(UNRESOLVED)]:
        detail = f"not asked: the platform did not resolve the Key Vault reference for {', '.join(unresolved)}"
        return Probe(url=shown, outcome="fail", detail=detail)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            if probe.scope is not None:
                headers["Authorization"] = f"Bearer {(await credential.get_token(probe.scope)).token}"
            # Not followed: another host would be asked in the name of this one.
            asked = session.request(probe.method, probe.url, headers=headers, allow_redirects=False)
            async with asked as response:
                status, failed = response.status, await _failed(probe, response)
    except AzureError as error:
        return Probe(url=shown, outcome="fail", detail=f"not asked: no token for its scope ({type(error).__name__})")
    except (aiohttp.ClientError, TimeoutError) as error:
        return Probe(url=shown, outcome="fail", detail=f"no answer: {type(error).__name__}")
    return Probe(url=shown, outcome="fail" if failed else "pass", status=status, detail=failed)


async def _failed(probe: HealthProbe, response: aiohttp.ClientResponse) -> str:
    """Return which check the answer fails, empty where none."""
    if response.status != probe.status:
        return f"answered {response.status}, expected {probe.status}"
    if probe.contains is None and not probe.equals:
        return ""
    body = b""
    while len(body) <= BODY_BYTES_MAX and (part := await response.content.read(BODY_BYTES_MAX)):
        body += part
    if probe.contains is not None and probe.contains.encode() not in body[:BODY_BYTES_MAX]:
        return f"contains: the text is not in the body's first {BODY_BYTES_MAX} bytes"
    return _unequal(probe.equals, body) if probe.equals else ""


def _unequal(members: Mapping[str, Any], body: bytes) -> str:
    if len(body) > BODY_BYTES_MAX:
        return f"equals: the body is longer than {BODY_BYTES_MAX} bytes"
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return "equals: the body is no JSON"
    wrong = [member for member, expected in members.items() if _member(content, member) != _text(expected)]
    return f"equals: {', '.join(wrong)}" if wrong else ""


def _member(content: Any, path: str) -> str:
    """Return the JSON text of the member, empty where there is none."""
    for name in path.split("."):
        if not isinstance(content, dict) or name not in content:
            return ""
        content = content[name]
    return _text(content)


def _text(value: object) -> str:
    """Return the JSON text, by which 1 is not true."""
    return json.dumps(value, sort_keys=True)
