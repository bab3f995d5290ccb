"""Text of others on a terminal: what it holds of control characters is shown, and does nothing."""

from __future__ import annotations

import re
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""All but tab and line feed; and the marks that turn the direction of writing."""


def printable(text: str) -> str:
    r"""`text` with every control character as its code (\u001b), which is also how JSON writes it."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
