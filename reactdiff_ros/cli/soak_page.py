"""docs/soak.md from the figures of long runs: a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reactdiff_ros.cli.markdown import figure, generated, markdown_table

PICTURE: Final = "images/soak_{}.png"
TITLES: Final = {"stream": "Hours of stream through the session", "graph": "In real time through the graph"}
_RUNS: Final = {"stream": "session", "graph": "graph"}
_COUNTS: Final = {
    "rejected": "malformed inputs", "dropped": "inputs dropped", "unanswered": "pictures without a face",
    "gaps": "gaps of more than 40 ms between faces", "longest_gap_ms": "longest gap, ms",
    "restarts": "nodes started again", "robot_follows": "robot follows, least share of a minute",
    "robot_stops": "stops of the robot",
}  # fmt: skip
_INTRODUCTION = """\
Does the listener stay as it was after hours? `make soak` lets it run: first stream through the whole session
(perception, model, expression) in one process as fast as it goes, people of recorded clips coming one after another in
shuffled order with absences; then the real graph in real time on a clip in a loop, with emulated servos that follow and
two open pages, one of them opened anew every ten seconds.

Every minute is written down at once. What was killed goes on when `make soak` (or `reactdiff bench soak`) is started
again: a new **leg**, which is a new process. What grows with time grows within a process, so every leg is judged by
itself: its first five minutes warm up, and of the others the last tenth is compared with the first; the worst leg and
process are told. Legs of less than a quarter of an hour are too short to be judged.

- **memory**: resident, of each process; the growth between the medians of both tenths.
- **p99**: in the session, processor time of a picture (perception, listener); in the graph, latency from a picture's
  capture to the first face that it influenced, and to the first that it influenced through a plan (reaction).
- **stamps of voice and picture**: how far apart the newest picture and the newest sound are that perception tells
  together, by their stamps.
- **a person's voice after their face**: from what is in the clips, not from stamps: when a person is first heard, less
  when they are first seen, against the first visit of the same clip.
- **mouth after voice**: the lag of the highest correlation between loudness and the opening of the mouth.
- **statistics of behaviour**: those of `reactdiff evaluate sessions` (rates of events, shares of time, means, standard
  deviations), the second half of the minutes over the first, with 95 % intervals over minutes. One that lies within
  0.8 to 1.25 with its interval is shown to be stable, one whose interval lies outside has changed; between, and with
  fewer than twenty events, the run was too short to tell.

The emulated servos stand behind pseudo-terminals, which the kernel serves at ordinary priority. Beside much other work
their answers may come late; then the actuator stops the robot, as it does with a board that does not answer, and the
run enables it again, as a person would."""


def soak_page(figures: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    """The page of `evaluation.soak.figures.assemble`; `pictures`: link by name of the run."""
    hardware = figures["hardware"]
    where = ", ".join(str(hardware[key]) for key in ("cpu", "system", "ros") if hardware.get(key))
    cores = f", {hardware['cores']} cores" if hardware.get("cores") else ""
    lines = [
        "# Long runs",
        "",
        generated("reactdiff docs soak docs/soak.json --output docs/soak.md"),
        "",
        *_INTRODUCTION.splitlines(),
        "",
        f"{figures['held']} of {figures['of']} bounds are held. {figures['date']}, {where}{cores}.",
        "",
        *_done(figures["parts"]),
        "",
        *markdown_table(("run", "what", "bound", "measured", "held"), (_verdict(row) for row in figures["bounds"])),
    ]
    for name, part in figures["parts"].items():
        lines += _part(name, part, pictures.get(name))
    return "\n".join(lines) + "\n"


def _done(parts: Mapping[str, Any]) -> list[str]:
    """How much ran of what was asked, and beside what."""
    out = []
    for name, part in parts.items():
        done, asked = part["done_s"], part["asked_s"]
        whole = "all of it" if done >= asked else f"{100 * done / asked:.0f} % of it"
        text = f"- {TITLES[name]}: {_length(done)} of {_length(asked)} ran, {whole}, in {len(part['legs'])} leg"
        text += "s" if len(part["legs"]) != 1 else ""
        if part["load"]:
            low, high = part["load"]
            text += f"; the machine's load was {low:.1f} to {high:.1f}"
        out.append(text + ".")
    return out


def _verdict(row: Mapping[str, Any]) -> tuple[str, ...]:
    held = {True: "yes", False: "**no**", None: "not measured"}[row["holds"]]
    measured = "" if row["value"] is None else figure(row["value"])
    of = f" ({row['of']})" if row["of"] and row["value"] is not None else ""
    return _RUNS[row["part"]], row["name"], row["bound"], measured + of, held


def _part(name: str, part: Mapping[str, Any], picture: str | None) -> list[str]:
    lines = ["", f"## {TITLES[name]}", ""]
    lines += markdown_table(
        ("leg", "began", "commit", "clips", "robot", "pages", "nice", "ran", "processor", "load", "ended"),
        (_leg(leg) for leg in part["legs"]),
    )
    counted = [leg for leg in part["legs"] if leg["counts"]]
    if counted:
        names = list(dict.fromkeys(name for leg in counted for name in leg["counts"]))
        lines += ["", *markdown_table(
            ("leg", *(_COUNTS.get(name, name) for name in names)),
            ((str(leg["leg"]), *(f"{leg['counts'].get(name, 0):g}" for name in names)) for leg in counted),
        )]  # fmt: skip
    for trend in part["trends"]:
        low, high = trend["load"]
        lines += [
            "",
            f"Leg {trend['leg']}, first and last tenth ({trend['tenth']} of {trend['minutes']} minutes each; the "
            f"machine's load {low:.1f} and {high:.1f}, processor time {trend['cores'][0]:.2f} and "
            f"{trend['cores'][1]:.2f} s a second):",
            "",
            *markdown_table(
                ("process", "memory, MB", "not of files, MB", "open files", "threads"), _processes(trend)
            ),
            "",
            *markdown_table(("time", "p99, ms"), ((k, _pair(v)) for k, v in trend["p99_ms"].items())),
        ]  # fmt: skip
    if part["behaviour"]:
        stable = sum(row["stable"] is True for row in part["behaviour"].values())
        lines += [
            "",
            f"Behaviour: {stable} of {len(part['behaviour'])} statistics are shown to be stable.",
            "",
            *markdown_table(
                ("statistic", "first half", "second half", "ratio, 95 % interval", "stable"),
                (_statistic(key, row) for key, row in part["behaviour"].items()),
            ),
        ]
    if picture:
        lines += ["", f"![Memory, threads and files, times, stamps: {TITLES[name].lower()}]({picture})"]
    return lines


def _leg(leg: Mapping[str, Any]) -> tuple[str, ...]:
    begun = leg["begun"]
    clips = begun.get("clips", [])
    load = "" if leg["load"] is None else "{:.1f} to {:.1f}".format(*leg["load"])
    return (
        str(leg["leg"]),
        str(begun.get("at", ""))[:16].replace("T", " "),
        str(begun.get("commit", "")),
        clips[0] if len(clips) == 1 else str(len(clips)),
        str(begun.get("robot", "")),
        str(begun.get("pages", 0)),
        str(begun.get("nice", "")),
        _length(leg["seconds"]),
        _length(leg["cpu_s"]),
        load,
        str(leg["ended"]),
    )


def _processes(trend: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows = [
        (name, *(_pair(trend[what][name]) for what in ("memory_mb", "anonymous_mb", "files", "threads")))
        for name in trend["memory_mb"]
    ]
    return rows if len(rows) == 1 else [*rows, ("all", _pair(trend["memory_of_all_mb"]), "", "", "")]


def _statistic(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    stable = {True: "yes", False: "**no**", None: "too short to tell"}[row["stable"]]
    ratio = f"{figure(row['ratio'])} ({figure(row['low'])} to {figure(row['high'])})"
    return name, figure(row["first"]), figure(row["second"]), ratio, stable


def _pair(values: Any) -> str:
    first, last = ("none" if v is None else f"{v:.1f}".removesuffix(".0") for v in values)
    return f"{first}, {last}"


def _length(seconds: float) -> str:
    """In minutes, or hours and minutes."""
    minutes = round(seconds / 60.0)
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
