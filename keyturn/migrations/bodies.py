"""The body of a start: whatever kind of migration it asks for."""

from typing import Annotated

from pydantic import Field, RootModel

from keyturn.migrations.document_requests import DecryptCheckRequest, EncryptRequest, ReencryptRequest
from keyturn.migrations.requests import RewrapDeksRequest


class StartMigration(
    RootModel[
        Annotated[
            RewrapDeksRequest | EncryptRequest | ReencryptRequest | DecryptCheckRequest, Field(discriminator="kind")
        ]
    ]
):
    """One of the kinds."""
