"""The credential of live tests: the local identity endpoint, from which an app in Azure takes its tokens too."""

from typing import Any

from azure.identity import ManagedIdentityCredential
from azure.identity.aio import ManagedIdentityCredential as AsyncManagedIdentityCredential


def get_credential(*, is_async: bool = False, **_named: Any) -> Any:
    """Return a credential."""
    return AsyncManagedIdentityCredential() if is_async else ManagedIdentityCredential()
