"""YAML from outside: plain values alone, and whatever is wrong with it is one kind of error."""

from __future__ import annotations

from typing import Any, Final

import yaml

MAX_BYTES: Final = 4_000_000
"""No file of ours comes near it."""
_INT: Final = "tag:yaml.org,2002:int"


class PlainLoader(yaml.SafeLoader):
    """PyYAML's own, in which a value that cannot be is a YAML error with a line, a whole number beyond 64 bits too."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node. Raises yaml.MarkedYAMLError."""
        problem = "is no whole number of at most 64 bits"
        try:
            value = super().construct_object(node, deep)
            if not isinstance(value, int) or -(2**63) <= value < 2**63:
                return value
            error: Exception | None = None
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as caught:
            error = caught
            if node.tag != _INT:
                problem = f"is no {node.tag.rpartition(':')[2]}: {' '.join(str(caught).split())}"
        raise yaml.MarkedYAMLError(None, None, problem, node.start_mark) from error


def parse_yaml(text: str) -> Any:
    """The values of a YAML text: mappings, lists, scalars, dates; no objects.

    `yaml.safe_load` itself lets other errors through: of a date that cannot be, of a text that is nested too deeply;
    and whole numbers of any length, which Python cannot turn into a float.

    Raises:
        yaml.YAMLError: it is no YAML, larger than MAX_BYTES, or holds values that cannot be.
    """
    if len(text) > MAX_BYTES:
        raise yaml.YAMLError(f"it is larger than {MAX_BYTES // 1_000_000} MB")
    try:
        loader = PlainLoader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error
    except (ValueError, OverflowError) as error:  # of a character that cannot be
        raise yaml.YAMLError(" ".join(str(error).split())) from error
