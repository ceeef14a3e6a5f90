"""The messages that the Python worker exchanges with its host, as far as it uses them.

The worker takes the module of message classes from its host; the real one is generated from protobuf and is not
published. Names, fields and numbers are those of ``FunctionRpc.proto``. None of these classes may have an attribute
that the worker probes for and real messages lack: it asks a value for ``TypedData`` to tell a module from a message.
"""

from types import SimpleNamespace
from typing import Any


class TypedData:
    """One value of one kind; an attribute of another kind does not exist."""

    def __init__(self, **value: Any) -> None:
        if len(value) > 1:
            raise TypeError(f"a TypedData has one value, not {sorted(value)}")
        self._kind = next(iter(value), None)
        self.__dict__.update(value)

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - the worker calls it by protobuf's name
        """Return the kind of the value (string, json, bytes, http, int, double), or None for nothing."""
        return self._kind


class ParameterBinding(SimpleNamespace):
    """A value for a parameter (``name``, ``data``)."""

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - the worker calls it by protobuf's name
        """Return how the value travels: always in the message, never through shared memory."""
        return "data"


class StatusResult(SimpleNamespace):
    """How a request to the worker ended (``status``, ``exception``)."""

    Failure = 0
    Success = 1


class BindingInfo(SimpleNamespace):
    """A binding of an indexed function; the numbers are directions and data types."""

    out = 1
    inout = 2
    undefined = 0


setattr(BindingInfo, "in", 0)  # the fourth number has a keyword for a name


class SameSite(SimpleNamespace):
    """Values of a cookie's attribute of that name; 0 leaves it out."""

    Lax = 1
    Strict = 2
    ExplicitNone = 3


setattr(SameSite, "None", 0)


class RpcHttpCookie(SimpleNamespace):
    """A cookie of a response; an optional attribute is None or has a ``value``."""

    SameSite = SameSite


class RpcHttp(SimpleNamespace):
    """An HTTP request or response."""


class RpcException(SimpleNamespace):
    """An exception of the app's or the worker's code (``message``, ``stack_trace``)."""


class InvocationResponse(SimpleNamespace):
    """What an invocation gave (``result``, ``return_value``, ``output_data``)."""


class RpcFunctionMetadata(SimpleNamespace):
    """An indexed function (``name``, ``function_id``, ``raw_bindings``)."""


class WorkerInitResponse(SimpleNamespace):
    """Answer to the worker's initialisation, which indexes the app."""


class WorkerMetadata(SimpleNamespace):
    """The worker's name and version."""


class FunctionMetadataResponse(SimpleNamespace):
    """The indexed functions."""


class FunctionLoadResponse(SimpleNamespace):
    """Answer to the request to load a function."""


class RpcRetryOptions(SimpleNamespace):
    """A function's retry policy."""


class NullableString(SimpleNamespace):
    """An optional string's value."""


class NullableBool(SimpleNamespace):
    """An optional truth value."""


class NullableDouble(SimpleNamespace):
    """An optional number's value."""


class NullableTimestamp(SimpleNamespace):
    """An optional time's value, a protobuf ``Timestamp``."""
