"""docs/reliability.md from the figures of faults: a pure function."""

from __future__ import annotations

from typing import Any

from reactdiff_ros.cli.markdown import generated, markdown_table

SENTENCES = 2
"""So many of the sentences that were said are shown."""
_HEAD = (
    "fault",
    "no face for",
    "neutral or idle",
    "page neutral",
    "normal after",
    "asked",
    "step",
    "servos",
    "what is said",
)
_INTRODUCTION = """\
The real graph runs in processes on a recorded speaker; one fault after another is injected, and what the face does is
read from `listener/expression` and from the page. `make faults` makes these figures anew; with `reactdiff bench faults`
`--list` names the faults, `--only` injects some of them, `--short` those that a check of a change runs.

- **no face for**: the longest time between two faces. Asked: at most 100 ms, unless the face's own process is hit; then
  the page's face must be neutral 0.5 s after the last one.
- **neutral or idle**: from when to when, in seconds after the cause began, the face was not listening.
- **page neutral**: when the page's face turned neutral, or the page did not answer, in seconds after the cause began.
- **normal after**: seconds from the end of the cause until faces come without a gap, listening, with plans of fresh
  pictures; 0 where they never ceased to. Asked: 6 s for perception and reaction, which load networks, 2 s for all else.
- **servos**: emulated ones, in a process of their own. Asked: on their way to neutral 0.2 s after the last face, no
  command beyond a limit, none faster than the joint may move; where nobody commands them any more, their own watchdog
  when it is due. A robot whose actuator died, or whose servos failed, is enabled by a person alone. Faults of single
  servos were injected into `bus_head`, six emulated Feetech servos; the others into `generic_12servo`.
- Two machines are network namespaces; after the network is back no plan made of pictures of before may be shown.
- Under simulated time the face stands while /clock does, as it must: the page turns neutral and says so.
- **step**: the largest change of one coefficient from one face to the next, 20 ms later; a blink makes about 0.4."""


def reliability_page(figures: dict[str, Any]) -> str:
    """The page of `evaluation.faults.figures.summary`."""
    rows, hardware = figures["faults"], figures["hardware"]
    held = sum(not row["violations"] for row in rows)
    cpus = dict.fromkeys(str(row.get("cpu") or hardware.get("cpu") or "") for row in rows)
    where = ", ".join(
        [" and ".join(filter(None, cpus)), *(str(hardware[k]) for k in ("system", "ros") if k in hardware)]
    )
    cores = f", {hardware['cores']} cores" if hardware.get("cores") else ""
    loads = [row["load"] for row in rows] or [0.0]
    load = f"The machine's load was {min(loads):.1f} to {max(loads):.1f}."
    if hardware.get("cores") and max(loads) > 2 * hardware["cores"]:
        load += " Other work ran beside the graph: what is not held here may be held on a machine of its own."
    lines = [
        "# When something breaks",
        "",
        generated("reactdiff docs reliability docs/reliability.json --output docs/reliability.md"),
        "",
        *_INTRODUCTION.splitlines(),
        "",
        f"{held} of {len(rows)} rows are within their bounds. Measured on: {where}{cores}. {load}",
        "",
        *markdown_table(_HEAD, (_row(row) for row in rows)),
    ]
    broken = [row for row in rows if row["violations"]]
    if broken:
        lines += ["", "## Not within the bounds", ""]
        lines += [f"- {row['what']}: {'; '.join(row['violations'])}" for row in broken]
    return "\n".join(lines) + "\n"


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    away = "" if row["away_from_s"] is None else f"{row['away_from_s']:g} to {row['away_to_s']:g} s"
    return (
        row["what"] + (" **not held**" if row["violations"] else ""),
        f"{1000 * row['longest_gap_s']:.0f} ms",
        away,
        _seconds(row["page_neutral_s"], ""),
        _seconds(row["normal_after_s"], "never"),
        f"{row['asked']['normal_after_s']:g} s",
        f"{row['largest_step']:.2f}",
        _servos(row),
        " / ".join(_short(sentence) for sentence in row["said"][:SENTENCES]) or "nothing",
    )


def _servos(row: dict[str, Any]) -> str:
    """What they did, in a few words; empty without a robot."""
    if "servos_speed" not in row:
        return ""
    words = []
    if row["servos_return_s"] is not None:
        words.append(f"to neutral {1000 * row['servos_return_s']:.0f} ms after the last face")
    after = row["servos_follow_after_s"]
    words.append("wait to be enabled" if after is None else f"follow after {after:g} s" if after else "follow")
    if row.get("watchdog_s") is not None:
        words.append(f"their own watchdog after {row['watchdog_s']:g} s (host_loss: {row['host_loss']})")
    return ", ".join([*words, f"at most {100 * row['servos_speed']:.0f} % of the speed limit"])


def _seconds(value: float | None, missing: str) -> str:
    return missing if value is None else f"{value:g} s"


def _short(sentence: str, limit: int = 150) -> str:
    clean = " ".join(sentence.split()).replace("`", "'")
    return clean if len(clean) <= limit else clean[: limit - 3].rsplit(" ", 1)[0] + " ..."
