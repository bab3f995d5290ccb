"""The table of public recordings that perception's read-out of expressions is trained on, and what gets them.

    python -m tools.small_networks.expression_clips DIR

Each lies under DIR as OWNER/NAME/PATH afterwards, as `reactdiff dev train-expression --clips DIR` reads it. Needs git
and the network; takes minutes and half a gigabyte meanwhile. What is there already is not fetched again.
"""

from __future__ import annotations

import csv
import math
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from reactdiff_ros.errors import ConfigError, explained
from reactdiff_ros.perception.expression import CRYING
from reactdiff_ros.types import EXPRESSION_CLASSES
from reactdiff_ros.whole_file import whole_file

GITHUB = "https://github.com/"
TABLE: Final = Path(__file__).with_name("expression_clips.csv")
"""The recordings that the shipped read-out was trained on. Acted expressions are labelled as published, others by the
authors of this package, who watched them."""
SHOWN: Final = (*EXPRESSION_CLASSES, CRYING)
"""What a span can show."""
COLUMNS: Final = ("repository", "commit", "path", "person", "label", "begin_s", "end_s")


class Span(NamedTuple):
    """Part of a public recording, or all of it, in which someone shows one expression.

    `repository` (owner/name on GitHub) has the recording as `path` in `commit`; `begin_s` and `end_s` count from its
    first picture; `label` is one of SHOWN.
    """

    repository: str
    commit: str
    path: str
    person: str
    label: str
    begin_s: float
    end_s: float

    def file(self, folder: Path) -> Path:
        """Where the recording lies in a folder of recordings."""
        return folder / self.repository / self.path

    @property
    def whole(self) -> bool:
        """All of the recording shows the expression."""
        return self.begin_s == 0.0 and math.isinf(self.end_s)


def read_spans(table: Path) -> list[Span]:
    """The rows of a table (CSV) with COLUMNS; an empty time is the beginning or the end of the recording.

    Raises:
        ConfigError: the table cannot be read, lacks a column, or a row has a wrong label, time or path.
    """
    with (
        explained(OSError, "the table cannot be read", where=table, error=ConfigError),
        table.open(encoding="utf-8", newline="") as file,
    ):
        rows = csv.DictReader(file)
        try:
            if set(COLUMNS) - set(rows.fieldnames or ()):
                raise ConfigError(f"the table needs the columns {', '.join(COLUMNS)}", where=str(table))
            return [_span(row) for row in rows]
        except (ValueError, csv.Error) as error:
            raise ConfigError(str(error), where=f"{table}, line {rows.line_num}") from error


def _span(row: Mapping[str, str | None]) -> Span:
    repository, commit, path, person, label, begin, end = ((row[name] or "").strip() for name in COLUMNS)
    span = Span(repository, commit, path, person, label, float(begin or 0.0), float(end or math.inf))
    if label not in SHOWN:
        raise ValueError(f"the label {label!r} is none of {', '.join(SHOWN)}")
    if not 0.0 <= span.begin_s < span.end_s:
        raise ValueError("begin_s must be at least 0 and less than end_s")
    if not (repository and path and person) or {"..", ""} & {*repository.split("/"), *path.split("/")}:
        raise ValueError("repository, path (inside it) and person are required")
    return span


def fetch(spans: Sequence[Span], folder: Path, origin: str = GITHUB) -> list[str]:
    """Gets what is missing in `folder`; returns a sentence for each recording that could not be had."""
    missing = sorted({span[:3] for span in spans if not span.file(folder).exists()})
    problems = []
    for repository, of_repository in groupby(missing, key=lambda row: row[0]):
        print(repository, flush=True)
        with tempfile.TemporaryDirectory() as clone:
            address = f"{origin}{repository}"
            cloned = _git("clone", "--quiet", "--bare", "--filter=blob:none", address, clone)
            if cloned.returncode:
                problems.append(f"{address}: {cloned.stderr.decode(errors='replace').strip()}")
                continue
            for _, commit, path in of_repository:
                shown = _git("-C", clone, "cat-file", "blob", f"{commit}:{path}")
                if shown.returncode:
                    problems.append(f"{repository}: {path}: {shown.stderr.decode(errors='replace').strip()}")
                    continue
                with whole_file(folder / repository / path) as file:
                    file.write(shown.stdout)
    return problems


def _git(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *words], capture_output=True, check=False)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tools.small_networks.expression_clips DIR")
    sys.exit("\n".join(fetch(read_spans(TABLE), Path(sys.argv[1]))) or 0)
