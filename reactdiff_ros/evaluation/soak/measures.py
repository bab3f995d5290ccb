"""What is written down of every minute: what processes hold, times as counts in bins, and what the face did.

A time is counted in a bin of 2 %, so that minutes can be put together and a percentile is right to 1 %.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.types import FloatArray

BIN: Final = math.log(1.02)
SHORTEST_MS: Final = 0.01
LIP_LAG_FRAMES: Final = 12
LIP_CORRELATION: Final = 0.1
"""Below this, voice and mouth have nothing in common, and no lag."""
LOUD_DBFS: Final = -60.0


def footprint(pids: Iterable[int]) -> dict[str, float | int]:
    """Memory (MB, resident, and of it what no file backs), open files and threads of processes, summed.

    A process that has ended counts nothing.
    """
    total: Counter[str] = Counter()
    for pid in pids:
        folder = Path(f"/proc/{pid}")
        with suppress(OSError):
            status = _kilobytes((folder / "status").read_text())
            files = sum(1 for _ in (folder / "fd").iterdir())
            total["rss"] += status.get("VmRSS", 0)
            total["anonymous"] += status.get("RssAnon", 0)
            total["threads"] += status.get("Threads", 0)
            total["files"] += files
    return {
        "rss_mb": round(total["rss"] * 1.024e-3, 3),
        "anonymous_mb": round(total["anonymous"] * 1.024e-3, 3),
        "files": total["files"],
        "threads": total["threads"],
    }


def _kilobytes(text: str) -> dict[str, int]:
    """Numbers of /proc/PID/status by name; kB where it tells sizes."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        first = rest.split()[:1]
        if first and first[0].isdigit():
            found[name] = int(first[0])
    return found


def counted(times_ms: Iterable[float]) -> dict[str, int]:
    """Times as counts by bin."""
    return {str(k): n for k, n in sorted(Counter(_bin(ms) for ms in times_ms).items())}


def _bin(ms: float) -> int:
    return math.floor(math.log(max(ms, SHORTEST_MS)) / BIN)


def percentile(counts: Iterable[Mapping[str, int]], percent: float) -> float | None:
    """Of the times in all `counts`, ms; None without any."""
    total: Counter[int] = Counter()
    for one in counts:
        total.update({int(k): n for k, n in one.items()})
    rank = percent / 100.0 * total.total()
    for k in sorted(total):
        rank -= total[k]
        if rank <= 0:
            return math.exp((k + 0.5) * BIN)
    return None


def behaviour(faces: FloatArray) -> dict[str, float]:
    """What `evaluate sessions` measures, of one minute's faces (T, 58) at 25 Hz; empty below two seconds."""
    from reactdiff_ros.evaluation.studies.sessions import statistics

    if len(faces) < 50:
        return {}
    return {name: round(float(value[0]), 6) for name, value in statistics(faces[None]).items()}


def apart_ms(pictures_ns: Sequence[int], sounds_ns: Sequence[int]) -> float | None:
    """Median of the stamps of pictures less those of the sound that was told with them; None without any."""
    if not pictures_ns:
        return None
    return round(float(np.median(np.subtract(pictures_ns, sounds_ns, dtype=np.float64))) / 1e6, 3)


def lip_lag_ms(loudness_dbfs: Sequence[float], jaw: Sequence[float]) -> float | None:
    """How much later the mouth moves than the voice sounds, as perception tells both at 25 Hz.

    That of the highest correlation within half a second, to a fraction of a frame. What it is depends on the speaker;
    that it stays shows that voice and picture keep together. None: they have nothing in common.
    """
    heard = np.maximum(np.nan_to_num(np.asarray(loudness_dbfs, dtype=np.float64), nan=LOUD_DBFS), LOUD_DBFS)
    seen = np.nan_to_num(np.asarray(jaw, dtype=np.float64))
    count = len(seen) - 2 * LIP_LAG_FRAMES
    if count < 50:
        return None
    middle = _normal(heard[LIP_LAG_FRAMES : LIP_LAG_FRAMES + count])
    found = np.array([middle @ _normal(seen[i : i + count]) for i in range(2 * LIP_LAG_FRAMES + 1)])
    best = int(found.argmax())
    if found[best] < LIP_CORRELATION or best in (0, len(found) - 1):
        return None
    before, top, after = found[best - 1 : best + 2]
    bend = before - 2 * top + after
    lag_frames = best - LIP_LAG_FRAMES + (0.5 * (before - after) / bend if bend < 0 else 0.0)
    return round(40.0 * float(lag_frames), 2)


def _normal(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without its mean, of length 1; zero where nothing moves."""
    values = values - values.mean()
    length = float(np.sqrt(values @ values))
    return values / length if length > 1e-9 else np.zeros_like(values)


def rounded(value: Any, digits: int = 3) -> Any:
    """A figure for the journal; None stays."""
    return None if value is None else round(float(value), digits)
