"""Characters that a reader does not see, or that change how the text around them is shown.

Sources: Default_Ignorable_Code_Point in DerivedCoreProperties.txt of Unicode 16.0, which Python does not know; general
categories as Python has them.
"""

import json
import re
import unicodedata

DEFAULT_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Control, format (all of the bidirectional algorithm's too), surrogate, private, unassigned; separators of lines.
_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BLANK = "\u2800"  # Braille without a dot: a symbol to Unicode


def unseen(text: str) -> str | None:
    """Return the first character of the text that is not seen, as ``U+200B``; None where there is none."""
    for character in text:
        hidden = character == _BLANK or unicodedata.category(character) in _CATEGORIES
        if hidden or DEFAULT_IGNORABLE.match(character):
            return f"U+{ord(character):04X}"
    return None


def counted(count: int, noun: str) -> str:
    """Return how many there are, in words: ``1 row``, ``2,000 rows``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def visible(text: str) -> str:
    """Return the text on one line, with every character that is not seen as JSON escapes it.

    For whatever reaches a person: a line that a stored text forges, or turns around, is told as what it is.
    """
    return "".join(character if unseen(character) is None else json.dumps(character)[1:-1] for character in text)


def visible_lines(text: str) -> str:
    """Return the text with its own line feeds, and each line of it visible."""
    return "\n".join(visible(line) for line in text.split("\n"))
