"""One closing line of several pytest runs: `closing_line.py SECONDS LOG...` adds up what their own lines say."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

ORDER = ("failed", "passed", "skipped", "xfailed", "xpassed", "error", "warning", "rerun")
CLOSING = re.compile(r"^=*\s*(?:no tests ran|(?:\d+ \w+(?:, )?)+) in [\d.]+s(?: \([\d:]+\))?\s*=*$", re.MULTILINE)


def closing_line(logs: list[str], seconds: float) -> str:
    """What pytest would say at the end of one run. A log without a closing line counts as an error.

    Tests that one run left to another ("deselected") are not told.
    """
    counts: Counter[str] = Counter()
    for log in logs:
        lines = CLOSING.findall(re.sub(r"\x1b\[[\d;]*m", "", log))
        if not lines:
            counts["error"] += 1
            continue
        for number, name in re.findall(r"(\d+) (\w+)(?=,| in )", lines[-1]):
            counts[re.sub(r"^(error|warning)s$", r"\1", name)] += int(number)
    parts = [f"{counts[name]} {name}{'s' * (name[-1] in 'rg' and counts[name] > 1)}" for name in ORDER if counts[name]]
    minutes, rest = divmod(int(seconds), 60)
    clock = f" ({minutes // 60}:{minutes % 60:02}:{rest:02})" if seconds >= 60 else ""
    return f" {', '.join(parts) or 'no tests ran'} in {seconds:.2f}s{clock} ".center(100, "=")


if __name__ == "__main__":
    print(closing_line([Path(name).read_text(errors="replace") for name in sys.argv[2:]], float(sys.argv[1])))
