"""scripts/closing_line.py: one closing line of several runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from closing_line import closing_line

SEARCHED = re.compile(r"^(=+ )?.*[0-9]+ (passed|failed|skipped|error).* in [0-9.:]+ ?s", re.MULTILINE)
"""What .ci/run looks for."""


@pytest.mark.parametrize(
    ("logs", "told"),
    [
        (["== 3 passed, 5 deselected in 1.00s ==", "== 5 passed, 3 deselected in 2.00s =="], "8 passed"),
        (["text\n1 failed, 2 passed, 1 warning in 3.1s\n", "== 2 skipped, 1 error in 9.00s =="],
         "1 failed, 2 passed, 2 skipped, 1 error, 1 warning"),
        (["\x1b[32m== \x1b[1m7 passed\x1b[0m, \x1b[33m2 warnings\x1b[0m\x1b[32m in 70.20s (0:01:10)\x1b[0m ==\x1b[0m"],
         "7 passed, 2 warnings"),
        (["== 4 passed in 0.1s ==", "no tests ran in 0.01s"], "4 passed"),
        (["== 4 passed in 0.1s ==", "Killed"], "4 passed, 1 error"),
    ],
)  # fmt: skip
def test_counts_are_added_and_a_run_without_an_end_is_an_error(logs: list[str], told: str) -> None:
    line = closing_line(logs, 754.5)
    assert line.strip("= ") == f"{told} in 754.50s (0:12:34)"
    assert SEARCHED.search(line)


def test_the_last_closing_line_of_a_log_counts() -> None:
    log = "== 1 passed in 1.0s ==\nanother run of a test's own: 9 passed in 2s\n== 2 failed in 3.0s ==\n"
    assert closing_line([log], 5.0).strip("= ") == "2 failed in 5.00s"
