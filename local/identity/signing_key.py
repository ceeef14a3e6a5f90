"""The key that signs access tokens: made once per state folder, its public half written beside it for the services."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from local.common.files import write_private

PRIVATE_NAME = "signing_key.pem"
PUBLIC_NAME = "signing_key.pub.pem"
KEY_BITS = 2048


def load_signing_key(folder: Path) -> RSAPrivateKey:
    """Return the signing key of the folder, made at the first call.

    Raises:
        TypeError: the file holds a key of another kind.
    """
    path = folder / PRIVATE_NAME
    if not path.exists():
        made = generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        write_private(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError(f"{path} must hold an RSA private key, not {type(key).__name__}")
    write_private(folder / PUBLIC_NAME, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return key
