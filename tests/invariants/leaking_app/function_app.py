"""The app, broken: it leaves a DEK in its log, in durable history, in the run's record and in what it tells people."""

import base64
import importlib.util
import logging
from pathlib import Path
from typing import Any

from activities import boundary
from keyturn.deks import rewrap
from keyturn.notifications import notifier
from keyturn.notifications.messages import compose as unbroken_compose
from keyturn.runs import transitions

REPOSITORY = Path(boundary.__file__).parents[1]
unbroken_wrap, unbroken_enter, unbroken_run = rewrap.new_wrap, transitions.enter, boundary._run
leaked: list[str] = []


def wrap(unwrapped: Any, *arguments: Any) -> Any:
    """Log the DEK in the form of Python's bytes, and keep it."""
    logging.getLogger("keyturn").info("rewrapping %r", unwrapped.dek.reveal())
    leaked.append(base64.b64encode(unwrapped.dek.reveal()).decode())
    return unbroken_wrap(unwrapped, *arguments)


def enter(record: Any, target: Any, *, detail: str, now: Any) -> Any:
    """Write a DEK into the history of the run, which the report shows."""
    return unbroken_enter(record, target, detail=(detail + " ".join(leaked[:1])), now=now)


async def run(*arguments: Any) -> Any:
    """Answer the workflow with a DEK in the envelope."""
    return {**await unbroken_run(*arguments), "debug": leaked[:1]}


def compose(*arguments: Any) -> Any:
    """Tell people a DEK."""
    message: Any = unbroken_compose(*arguments)
    return message._replace(body=" ".join([message.body, *leaked[:1]]))


BROKEN = (
    (rewrap, "new_wrap", wrap),
    (transitions, "enter", enter),
    (boundary, "_run", run),
    (notifier, "compose", compose),
)
for _place, _name, _broken in BROKEN:
    setattr(_place, _name, _broken)

_spec = importlib.util.spec_from_file_location("unbroken_function_app", REPOSITORY / "function_app.py")
if _spec is None or _spec.loader is None:
    raise ImportError(f"there is no app in {REPOSITORY}")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
app = _module.app
