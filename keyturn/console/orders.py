"""What a person may order on the console: each order with the route whose role it needs, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import quote

from keyturn.approval.links import approval_links
from keyturn.console.sessions import Visitor
from keyturn.contracts.states import State
from keyturn.errors import InvalidRequestError, WrongStateError
from keyturn.ids import CONSOLE, RunKind
from keyturn.runs.commands import allowed_in
from keyturn.runs.record import RunRecord
from keyturn.runs.records import RotationRecord
from keyturn.settings import Settings

type Name = Literal["start", "dry-run", "retry", "abort", "reinstate", "rollback"]


@dataclass(frozen=True)
class Order:
    """An order, as a button and as the page that asks whether it is meant."""

    name: Name
    label: str
    question: str
    follows: tuple[str, ...]
    reasoned: bool = False  # whether a reason is asked for, which the record keeps
    danger: bool = False

    @property
    def of_keyring(self) -> bool:
        """Tell whether it is about a keyring, and not about one of its runs."""
        return self.name in ("start", "dry-run")

    def route(self, kind: RunKind = RunKind.ROTATION) -> str:
        """Return the route of the API that does the same; its role is needed."""
        named = {"start": "start_rotation", "dry-run": "start_rotation", "rollback": "roll_back_rotation"}
        return named.get(self.name, f"{self.name}_{kind}")

    def link(self, subject: str) -> str:
        """Return the address of the page that asks whether it is meant, for this run or keyring."""
        return f"{CONSOLE}/orders/{self.name}/{quote(subject, safe='')}"


_ORDERS = (
    Order(
        "start",
        "Start a rotation",
        "Start a rotation of {subject}?",
        (
            "Every pre-flight check runs first; if one fails, nothing is changed.",
            "Then a new version is made and every row is moved onto it, while traffic goes on.",
            "Nothing is retired before another person than you has approved it.",
        ),
        reasoned=True,
    ),
    Order(
        "dry-run",
        "Dry run",
        "Make a dry run of a rotation of {subject}?",
        ("Every pre-flight check runs, and a plan is made of rows, time and cost.", "Nothing else is written."),
        reasoned=True,
    ),
    Order(
        "retry",
        "Retry",
        "Try {subject} again?",
        ("It goes on from where it stopped. What still cannot be done stops it again, with its reason.",),
    ),
    Order(
        "abort",
        "Abort",
        "Abort {subject}?",
        (
            "It ends at the next wave of pages or state change.",
            "Every version stays enabled and everything stays readable; rows stay where they are by then.",
            "This cannot be taken back: to go on, start again.",
        ),
        danger=True,
    ),
    Order(
        "reinstate",
        "Reinstate",
        "Enable again what {subject} has retired?",
        (
            "The versions are enabled at once, without an approval, and people are told.",
            "Rows stay on the new version. Find the cause before the next rotation.",
        ),
        danger=True,
    ),
    Order(
        "rollback",
        "Roll back",
        "Move the rows of {subject} back to the versions that they came from?",
        (
            "A rotation that needs attention is ended first.",
            "Where versions are retired, another person than you must approve that they are enabled again.",
            "No other run of the keyring begins until it has ended.",
        ),
        reasoned=True,
        danger=True,
    ),
)
ORDERS: Mapping[str, Order] = {order.name: order for order in _ORDERS}


def order_of(name: str) -> Order:
    """Return the order of this name; raises InvalidRequestError."""
    if (order := ORDERS.get(name)) is None:
        raise InvalidRequestError.expected("order", f"one of {', '.join(ORDERS)}")
    return order


def orders_on_run(record: RunRecord, visitor: Visitor, now: datetime) -> list[Order]:
    """Return what the visitor may order about the run as it stands."""
    wanted = [ORDERS[name] for name in ("retry", "abort", "reinstate") if record.state in _allowed(record, name, now)]
    if _can_roll_back(record):
        wanted.append(ORDERS["rollback"])
    return [order for order in wanted if visitor.may(order.route(record.kind))]


def require_taken(order: Order, record: RunRecord | None, visitor: Visitor, now: datetime) -> None:
    """Raise WrongStateError where the order would be refused as things stand: its button was on a page of before.

    The record is that of the run which it is about, or which holds the keyring that it is about.
    """
    if record is None or (not order.of_keyring and order in orders_on_run(record, visitor, now)):
        return
    state = record.state.value.replace("_", " ")
    raise WrongStateError(
        f"{order.label}: this is not taken now, since {record.run_id} is {state}",
        rotationId=record.run_id,
        state=record.state.value,
        hint="look at the run: it may have gone on since the page with this button was made",
    )


def _allowed(record: RunRecord, name: str, now: datetime) -> frozenset[State]:
    given = {command.command for command in record.commands}
    if record.abort is not None and not record.ended:
        return frozenset()  # it is ending already
    match name:
        case "retry" | "abort":
            return allowed_in(record, name, now)
        case _:
            return frozenset() if "reinstate" in given else allowed_in(record, "reinstate", now)


def _can_roll_back(record: RunRecord) -> bool:
    if not isinstance(record, RotationRecord) or record.target_version is None:
        return False
    return record.ended or record.state is State.NEEDS_ATTENTION


def orders_on_keyring(visitor: Visitor) -> list[Order]:
    """Return what the visitor may order about a keyring without a run."""
    return [order for order in _ORDERS if order.of_keyring and visitor.may(order.route())]


def link_to_decide(record: RunRecord, visitor: Visitor, settings: Settings, now: datetime) -> str | None:
    """Return the visitor's own link to decide on the run, where the platform vouches that it is theirs.

    A session never has one: its name is what a holder of the function key has stated.
    """
    principal = visitor.caller.principal
    if principal is None or not visitor.may("decide_approval"):
        return None
    links = {approver.lower(): link for approver, link in approval_links(record, settings, now)}
    return links.get(principal.object_id)
