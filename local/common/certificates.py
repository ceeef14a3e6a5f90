"""The local Azure's own certificate authority: one server certificate for loopback and the CA bundle clients trust."""

from pathlib import Path

import trustme

from local.common.files import write_private

HOST_NAMES = ("localhost", "127.0.0.1", "::1")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Return (server PEM with chain and key, CA PEM) in the folder, made at the first call.

    The authority's private key is not kept: nothing else can be signed later in its name.
    """
    server, authority = folder / "server.pem", folder / "ca.pem"
    if not (server.exists() and authority.exists()):
        ca = trustme.CA(organization_name="Keyturn local Azure")
        write_private(server, ca.issue_cert(*HOST_NAMES).private_key_and_cert_chain_pem.bytes())
        write_private(authority, ca.cert_pem.bytes())
    return server, authority
