"""What can be seen of the app from outside, without a key."""

from http import HTTPStatus

import aiohttp

from keyturn.doctor.asking import BROKEN
from keyturn.doctor.endpoints import TIMEOUT_SECONDS
from keyturn.doctor.lines import Answer, ok, problem, unchecked

_REFUSALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


async def check_keys(public_url: str | None) -> Answer:
    """A route that needs a key or a sign-in refuses whoever has neither."""
    if public_url is None:
        return unchecked("KEYTURN_PUBLIC_URL is not set", "set it to the app's own URL")
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{public_url.rstrip('/')}/api/keyrings", allow_redirects=False) as response,
        ):
            status = response.status
    except (aiohttp.ClientError, TimeoutError):
        return unchecked("the app does not answer", "see reach_app")
    if status in _REFUSALS or response.headers.get("location", "").startswith("https://login."):
        return ok(f"a call without a key was refused ({status})")
    return problem(f"a call without a key was answered with {status}", BROKEN)
