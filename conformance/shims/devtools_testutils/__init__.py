"""What Microsoft's tests import of their devtools_testutils, which is not published: live runs, nothing is recorded."""

import uuid
from collections.abc import Callable
from typing import Any

from .azure_recorded_testcase import get_credential
from .helpers import is_live

__all__ = ["AzureMgmtPreparer", "AzureRecordedTestCase", "get_credential", "is_live", "recorded_by_proxy"]


class AzureRecordedTestCase:
    """The base of their test cases."""

    is_live = True

    def get_credential(self, _client_class: type, **options: Any) -> Any:
        """Return a credential for a client."""
        return get_credential(**options)

    def create_client_from_credential(self, client_class: type, credential: Any, **options: Any) -> Any:
        """Return a client, which logs its requests unless a test wants none logged."""
        return client_class(credential=credential, **{"logging_enable": True, **options})

    def get_resource_name(self, name: str) -> str:
        """Return a name of its own for a resource."""
        return f"{name}-{uuid.uuid4().hex[:8]}"


class AzureMgmtPreparer:
    """The base of preparers that make resources; no test of the surface uses one."""


def recorded_by_proxy[Test: Callable[..., Any]](test: Test) -> Test:
    """Leave the test as it is."""
    return test


def _nothing(*_positional: Any, **_named: Any) -> None:
    """Sanitize nothing: nothing is recorded."""


add_general_string_sanitizer = add_oauth_response_sanitizer = remove_batch_sanitizers = _nothing
set_custom_default_matcher = set_bodiless_matcher = _nothing
