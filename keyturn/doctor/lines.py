"""What a check answers, and the line that the doctor makes of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a line ended, the best first."""

    OK = "ok"
    UNCHECKED = "unchecked"  # it could not be found out, or only people can
    WARNING = "warning"  # a rotation runs, and something is not as it should be
    PROBLEM = "problem"  # a rotation would fail, or rests on something that does not hold


# Of the command; a line that was not checked is nobody's fault.
EXIT_CODES = {Outcome.OK: 0, Outcome.UNCHECKED: 0, Outcome.WARNING: 1, Outcome.PROBLEM: 2}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check saw, and what to do where that is not good."""

    outcome: Outcome
    detail: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the doctor's table; ``subject`` tells lines of one id apart, as by keyring or URL."""

    id: str
    outcome: Outcome
    detail: str
    advice: str = ""
    subject: str = ""

    @classmethod
    def of(cls, line_id: str, answer: Answer, subject: str = "") -> "Line":
        """Return the line for an answer."""
        return cls(line_id, answer.outcome, answer.detail, answer.advice, subject)


def ok(detail: str) -> Answer:
    """Return an answer that all is well."""
    return Answer(Outcome.OK, detail)


def unchecked(detail: str, advice: str = "") -> Answer:
    """Return an answer that nothing was found out, and why."""
    return Answer(Outcome.UNCHECKED, detail, advice)


def warning(detail: str, advice: str) -> Answer:
    """Return an answer that something is not as it should be."""
    return Answer(Outcome.WARNING, detail, advice)


def problem(detail: str, advice: str) -> Answer:
    """Return an answer that something is wrong."""
    return Answer(Outcome.PROBLEM, detail, advice)


def expect(found: object, expected: object, what: str, advice: str) -> Answer:
    """Return ok where what was found is what was expected."""
    if found == expected:
        return ok(what)
    return problem(f"expected: {what}; found {found!r}", advice)


def worst(lines: Iterable[Line]) -> Outcome:
    """Return the worst outcome of all lines."""
    order = list(Outcome)
    return max((line.outcome for line in lines), key=order.index, default=Outcome.OK)
