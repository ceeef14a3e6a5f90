"""What an app registers, as the functions host reads it."""

from typing import Any

import azure.durable_functions as df


def triggers_of(app: df.DFApp) -> dict[str, dict[str, Any]]:
    """Return the trigger of each function of the app, by the function's name."""
    found: dict[str, dict[str, Any]] = {}
    for function in app.get_functions():
        trigger = function.get_trigger()
        assert trigger is not None
        found[str(function.get_function_name())] = trigger.get_dict_repr()
    return found
