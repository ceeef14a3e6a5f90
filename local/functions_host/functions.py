"""The indexed functions of the app: names, triggers and other bindings."""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from local.functions_host.messages import RpcFunctionMetadata

SERVED_TRIGGERS = frozenset({"httpTrigger", "timerTrigger", "orchestrationTrigger", "activityTrigger", "entityTrigger"})
SERVED_BINDINGS = SERVED_TRIGGERS | {"durableClient", "http"}


ON = ("true", "1")


class UnservedBindingError(Exception):
    """The app uses a trigger or binding that the local host does not serve."""


@dataclass(frozen=True)
class Function:
    """One indexed function; ``bindings`` are the JSON objects that the worker reported."""

    name: str
    function_id: str
    bindings: tuple[dict[str, Any], ...]

    @cached_property
    def trigger(self) -> dict[str, Any]:
        """The binding that starts the function."""
        return next(binding for binding in self.bindings if binding["type"].endswith("Trigger"))

    @property
    def trigger_type(self) -> str:
        """The trigger's type, such as ``httpTrigger``."""
        return str(self.trigger["type"])

    @cached_property
    def disabled(self) -> bool:
        """Whether the app setting ``AzureWebJobs.<function>.Disabled`` is on; names of settings ignore case."""
        setting = f"AzureWebJobs.{self.name}.Disabled".lower()
        return any(name.lower() == setting and value.lower() in ON for name, value in os.environ.items())

    @property
    def clients(self) -> list[dict[str, Any]]:
        """The durable client bindings."""
        return [binding for binding in self.bindings if binding["type"] == "durableClient"]

    def named(self, key: str) -> str:
        """Return the name that the trigger gives under ``key`` (such as ``orchestration``), or the function's."""
        return str(self.trigger.get(key) or self.name)


def parse_function(metadata: RpcFunctionMetadata) -> Function:
    """Return the function that the worker reported.

    Raises:
        UnservedBindingError: it has a binding that the local host does not serve.
    """
    bindings = tuple(json.loads(raw) for raw in metadata.raw_bindings)
    for binding in bindings:
        if binding["type"] not in SERVED_BINDINGS:
            raise UnservedBindingError(
                f"function {metadata.name!r}: the local host serves no binding of type {binding['type']!r}"
            )
    return Function(metadata.name, metadata.function_id, bindings)
