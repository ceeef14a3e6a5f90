"""Probes: the backend's own URLs must answer 200, as the runbook asks by hand."""

from collections.abc import Sequence
from http import HTTPStatus

import aiohttp

from keyturn.rotation.record_parts import Probe

TIMEOUT_SECONDS = 10


async def probe_all(urls: Sequence[str]) -> list[Probe]:
    """Ask every URL once; no answer is a failed probe, never an error."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        return [await _probe(session, url) for url in urls]


async def _probe(session: aiohttp.ClientSession, url: str) -> Probe:
    try:
        async with session.get(url) as response:
            status = response.status
    except (aiohttp.ClientError, TimeoutError) as error:
        return Probe(url=url, outcome="fail", detail=f"no answer: {type(error).__name__}")
    if status == HTTPStatus.OK:
        return Probe(url=url, outcome="pass", status=status)
    return Probe(url=url, outcome="fail", status=status, detail=f"answered {status}, expected 200")
