"""Gets the public recordings that perception's read-out of expressions is trained on.

    python -m tools.small_networks.expression_clips DIR

Each lies under DIR as OWNER/NAME/PATH afterwards, as `reactdiff dev train-expression --clips DIR` reads it. Needs git
and the network; takes minutes and half a gigabyte meanwhile. What is there already is not fetched again.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from reactdiff_ros.recordings.labels import Span, read_spans
from reactdiff_ros.whole_file import whole_file
from tools.small_networks.expression import TABLE

GITHUB = "https://github.com/"


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
