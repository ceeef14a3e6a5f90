"""The list of docs/first-deployment.md, out of the data that ``keyturn doctor --live`` goes by.

python -m tools.live_checks
"""

from keyturn.doctor.live import LIVE_CHECKS, LiveCheck

GROUP = "rg-keyturn-rehearsal"  # the page's example
RUN = {
    "doctor": "`keyturn doctor --live` runs it; nothing is changed.",
    "probe": "`keyturn doctor --live` runs it, in resources of its own.",
    "hand": "By hand: recorded as `not run` until a person has done it.",
    "never": "Not to be run: recorded as `not run`.",
}


def section(number: int, check: LiveCheck) -> str:
    """Return one step as the page shows it."""
    proves = ", ".join(f"`{name}`" for name in check.proves) or "nothing; it ends the rehearsal"
    heading, _, rest = check.described(number, GROUP).partition("\n\n")
    return f"{heading}\n\n{RUN[check.run]} Proves: {proves}.\n\n{rest.strip()}"


def listed() -> str:
    """Return the whole list."""
    return "\n\n".join(section(number, check) for number, check in enumerate(LIVE_CHECKS, 1))


if __name__ == "__main__":
    print(listed())
