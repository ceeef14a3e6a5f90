"""Secrets that sign what is sent, as Standard Webhooks writes them."""

import base64
import binascii

from pydantic import SecretStr

PREFIX = "whsec_"
BYTES_MIN, BYTES_MAX = 24, 64  # Standard Webhooks 1.0, "Signature scheme"
_EXPECTED = f"expected {PREFIX} and the base64 of {BYTES_MIN} to {BYTES_MAX} random bytes; several separated by spaces"


def signing_secrets(secrets: SecretStr | None) -> list[str]:
    """Return the secrets, one at least; raises ValueError saying what was expected, never what was found."""
    found = secrets.get_secret_value().split() if secrets is not None else []
    if not found or not all(_is_secret(secret) for secret in found):
        raise ValueError(_EXPECTED)
    return found


def _is_secret(text: str) -> bool:
    try:
        size = len(base64.b64decode(text.removeprefix(PREFIX), validate=True))
    except binascii.Error:
        return False
    return text.startswith(PREFIX) and BYTES_MIN <= size <= BYTES_MAX
