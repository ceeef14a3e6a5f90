"""What the durable extension gives a durable client binding: where the task hub is, and its management URLs."""

import json
from typing import Any

from local.functions_host.functions import Function
from local.functions_host.keys import Keys
from local.functions_host.messages import TypedData
from local.functions_host.settings import HostSettings, resolve

WEBHOOK_PATH = "/runtime/webhooks/durabletask"
DEFAULT_CONNECTION = "Storage"
INSTANCE = "INSTANCEID"  # stands for the instance's id in the URL templates

OPERATIONS = {
    "statusQueryGetUri": "?",
    "sendEventPostUri": "/raiseEvent/{eventName}?",
    "terminatePostUri": "/terminate?reason={text}&",
}


class ClientBinding:
    """Builds the configuration that a durable client binding carries."""

    def __init__(self, settings: HostSettings, keys: Keys, *, base_url: str, task_hub: str) -> None:
        self._hub_name = settings.durable.hub_name
        self._system_key = keys.system
        self._base_url = f"{base_url}{WEBHOOK_PATH}"
        self._task_hub = task_hub

    def inputs(self, function: Function) -> dict[str, TypedData]:
        """Return the inputs for the durable client bindings of a function."""
        return {binding["name"]: TypedData(string=json.dumps(self._document(binding))) for binding in function.clients}

    def _document(self, binding: dict[str, Any]) -> dict[str, Any]:
        hub_name = resolve(binding.get("taskHub") or self._hub_name, f"durable client binding {binding['name']!r}")
        connection = binding.get("connectionName") or DEFAULT_CONNECTION
        query = f"taskHub={hub_name}&connection={connection}&code={self._system_key}"
        instance = f"{self._base_url}/instances/{INSTANCE}"
        return {
            "taskHubName": hub_name,
            "connectionName": connection,
            "creationUrls": {},
            "managementUrls": {"id": INSTANCE} | {name: instance + rest + query for name, rest in OPERATIONS.items()},
            "baseUrl": self._base_url,
            "httpBaseUrl": self._base_url,
            "requiredQueryStringParameters": query,
            "maxGrpcMessageSizeInBytes": 2**31 - 1,
            "rpcBaseUrl": f"http://{self._task_hub}",  # without a slash at the end, which the client would keep
            "grpcHttpClientTimeout": "00:01:40",
        }
