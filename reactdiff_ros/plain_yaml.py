"""YAML from outside: plain values alone, and whatever is wrong with it is one kind of error."""

from __future__ import annotations

from typing import Any, Final

import yaml

MAX_BYTES: Final = 4_000_000
"""No file of ours comes near it."""


def parse_yaml(text: str) -> Any:
    """The values of a YAML text: mappings, lists, scalars, dates; no objects.

    `yaml.safe_load` itself lets other errors through: of a date that cannot be, of a text that is nested too deeply.

    Raises:
        yaml.YAMLError: it is no YAML, larger than MAX_BYTES, or holds values that cannot be.
    """
    if len(text) > MAX_BYTES:
        raise yaml.YAMLError(f"it is larger than {MAX_BYTES // 1_000_000} MB")
    try:
        return yaml.safe_load(text)
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise yaml.YAMLError(" ".join(str(error).split()) or type(error).__name__) from error
