"""The provider ``env``: the MEK is a 256-bit key in the environment, DEKs are wrapped by AES key wrap (RFC 3394).

It is not for production: whoever reads the process's environment has the MEK, nobody can disable it, and it has no
versions. A label that is derived from the key stands for the version, so that rows under another key are recognised.
"""

import hashlib
import hmac
import logging
from typing import Final, override

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from field_encrypt.dek import Dek
from field_encrypt.encoding import from_base64
from field_encrypt.errors import InvalidSettingError
from field_encrypt.mek_errors import ForeignMekError, MekVersionNotFoundError, UnwrapRefusedError
from field_encrypt.provider import MekProvider
from field_encrypt.rows import WrappedDek

KEY_VARIABLE: Final = "FIELD_ENCRYPT_KEY"
MEK_NAME: Final = "env"
ALGORITHM: Final = "A256KW"  # the name that JSON Web Algorithms (RFC 7518) give it
KEY_BYTES: Final = 32
KEY_LABEL: Final = b"field-encrypt/env-key-label/v1"  # separates this use of the key from wrapping

_logger = logging.getLogger(__name__)


class EnvProvider(MekProvider):
    """Wraps and unwraps in this process, under one key."""

    def __init__(self, key: str) -> None:
        """Take the key in base64 and warn.

        Raises:
            InvalidSettingError: it is not 32 bytes in base64.
        """
        raw = from_base64(key)
        if raw is None or len(raw) != KEY_BYTES:
            raise InvalidSettingError(KEY_VARIABLE, f"{KEY_BYTES} random bytes in base64")
        self._key = raw
        self._label = f"{MEK_NAME}:{hmac.digest(raw, KEY_LABEL, hashlib.sha256).hex()[:8]}"
        _logger.warning(
            "%s holds the MEK: NOT FOR PRODUCTION. Whoever reads this process's environment can read every document, "
            "and the key cannot be rotated or disabled. Use the provider akv.",
            KEY_VARIABLE,
        )

    @override
    async def wrap(self, dek: Dek) -> WrappedDek:
        """Wrap under the key."""
        wrapped = aes_key_wrap(self._key, dek.reveal())
        return WrappedDek(mek_name=MEK_NAME, mek_version=self._label, algorithm=ALGORITHM, wrapped=wrapped)

    @override
    async def unwrap(self, wrapped: WrappedDek) -> Dek:
        """Unwrap what was wrapped under the key.

        Raises:
            ForeignMekError: the DEK is wrapped by a MEK in a vault.
            MekVersionNotFoundError: it is wrapped under another key.
            UnwrapRefusedError: the bytes or the algorithm were changed.
            InvalidDekError: what was wrapped is no DEK.
        """
        if wrapped.mek_name != MEK_NAME:
            raise ForeignMekError(MEK_NAME, wrapped.mek_version, f"the DEK is wrapped by {wrapped.mek_name}")
        if wrapped.algorithm != ALGORITHM:
            expected = f"algorithm {wrapped.algorithm!r}: expected {ALGORITHM}"
            raise UnwrapRefusedError(MEK_NAME, wrapped.mek_version, expected)
        if wrapped.mek_version != self._label:
            detail = f"the DEK is wrapped under another {KEY_VARIABLE}; this one is {self._label}"
            raise MekVersionNotFoundError(MEK_NAME, wrapped.mek_version, detail)
        try:
            return Dek(aes_key_unwrap(self._key, wrapped.wrapped))
        except InvalidUnwrap as error:
            raise UnwrapRefusedError(MEK_NAME, wrapped.mek_version, "the wrapped bytes were changed") from error
