"""A progress bar on stderr for work that tells how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[float], None]]:
    """Yields a function that takes the share done, 0..1. The bar shows the time left."""
    import sys

    bar: Any
    with click.progressbar(length=1000, label=label, file=sys.stderr) as bar:

        def show(share: float) -> None:
            bar.update(max(round(1000 * min(share, 1.0)) - bar.pos, 0))

        yield show
