"""docs/evidence.md: every figure of a set of weights beside its bound, its controls, and what it says and does not say.

Pure functions of what `reactdiff evaluate evidence` wrote. Bounds are judged anew from the figures by the one table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from reactdiff_ros.cli import evidence_tables as tables
from reactdiff_ros.cli.markdown import EARLIER_CODE, figure, generated, markdown_table
from reactdiff_ros.evaluation.evidence.bounds import judge
from reactdiff_ros.evaluation.evidence.tried import Tries

Figures = Mapping[str, Any]


ASKED_MIN: Final = 15
"""Minutes that the simulator's part should take at most."""


def verdict_word(row: Figures) -> str:
    """Whether a bound holds, in words."""
    return {True: "holds", False: "**missed**", None: "not measured"}[row["holds"]]


def measured(row: Figures) -> str:
    """The value that a bound was judged by, how many of several are outside, and what was not measured."""
    value = row["value"]
    if value is None:
        return "nothing"
    shown = figure(bool(value) if row["bound"] in ("yes", "no") else value)
    outside = f"; {row['out']} of {row['count']} are out" if row["out"] and row["count"] > 1 else ""
    shown += f" ({row['of']}{outside})" if row["of"] else ""
    return f"{shown}; not measured: {', '.join(row['unknown'])}" if row["unknown"] else shown


def evidence_page(
    evidence: Figures, pictures: Mapping[str, str] | None = None, *, code: str, tried: Tries | None = None,
    others: Figures | None = None,
) -> str:  # fmt: skip
    """The page.

    Args:
        evidence: of `evaluation.evidence.collection.read_evidence`.
        pictures: links of those that are there, by name without ending.
        code: the model's of today, of `evaluation.evidence.model_code`.
        tried: for bounds, of `evaluation.evidence.tried`.
        others: evidence of the same weights on speakers of another seed, as far as it was measured.
    """
    weights, rows = evidence["weights"], verdicts(evidence)
    lines = [
        "# Evidence: what the shipped weights were measured to do",
        "",
        generated("reactdiff docs evidence EVIDENCE.json --output docs/evidence.md"),
        "",
        f"Weights `{weights['digest']}` ({weights['name']}), trained on simulator `{weights['simulator']}`; "
        f"measured on simulator `{evidence['simulator']}` on {evidence['date']}: {evidence['hardware']}. "
        f"Made by `reactdiff evaluate evidence` with seed {_seeds(evidence) or 'unknown'}, speakers' voices "
        "synthesised; what each figure is: [evaluation.md](evaluation.md).",
        "",
        f"**{count(rows)}**{too_long(evidence)} Bounds were set before training and none was loosened; "
        "later ones were only added. Where a bound is on several figures alike, the one farthest out is shown, and how "
        "many of them are out.",
    ]
    if weights["simulator"] != evidence["simulator"]:
        lines += ["", "The weights were trained on another version of the simulator than they were measured on."]
    if any(_reduced(settings) for settings in evidence["settings"].values()):
        lines += ["", "Some parts were measured on fewer items than the bounds are meant for; their figures are noise."]
    earlier = earlier_parts(evidence, code)
    for part, section in SECTIONS.items():
        if part in evidence["parts"] or part in evidence["failed"]:
            lines += ["", *_section(part, section, evidence, rows, pictures or {}, part in earlier)]
    return "\n".join([*lines, *_others(rows, others, code), *_tried(rows, tried or {})]) + "\n"


def verdicts(evidence: Figures) -> list[dict[str, Any]]:
    """Every bound; those of parts that are not there are not measured."""
    return [v.as_dict() for v in judge(evidence["parts"])]


def earlier_parts(evidence: Figures, code: str) -> list[str]:
    """Parts that were not measured with this code of the model."""
    settings = evidence["settings"]
    return [part for part in evidence["parts"] if settings.get(part, {}).get("code") != code]


def took(evidence: Figures, part: str) -> str:
    """How long a part took, in words; "" where that was not kept."""
    seconds = _seconds(evidence, part)
    if seconds < 1:
        return ""
    asked = f" (asked: at most {ASKED_MIN} min for 200 speakers on 2 cores)" if part == "simulator" else ""
    return f" It took {f'{figure(seconds / 60)} min' if seconds >= 60 else f'{figure(seconds)} s'}{asked}."


def too_long(evidence: Figures) -> str:
    """That the simulator's part took longer than was asked, which is no figure and so no bound; "" where it did not."""
    seconds = _seconds(evidence, "simulator")
    if seconds <= 60 * ASKED_MIN:
        return ""
    return f" Not among them, and missed: the simulator's part took {figure(seconds / 60)} min of {ASKED_MIN}."


def _seconds(evidence: Figures, part: str) -> float:
    """How long a part took; 0 where that was not kept."""
    seconds = evidence.get("seconds", {}).get(part)
    return seconds if isinstance(seconds, (int, float)) else 0.0


def told_and_tried(rows: list[dict[str, Any]], tried: Tries, *, holds: bool) -> list[dict[str, Any]]:
    """The bounds that hold, or are missed, for which something was tried."""
    return [row for row in rows if row["holds"] is holds and tried.get(row["name"])]


def _seeds(evidence: Figures) -> str:
    """The seeds of its parts, in words; "" where none was kept."""
    return ", ".join(map(str, sorted({s["seed"] for s in evidence["settings"].values() if "seed" in s})))


OTHERS_TITLE: Final = "The same on other speakers"


def other_verdicts(others: Figures) -> list[dict[str, Any]]:
    """Bounds of the parts that were measured on other speakers."""
    return [row for row in verdicts(others) if row["part"] in others["parts"]]


def _others(rows: list[dict[str, Any]], others: Figures | None, code: str) -> list[str]:
    """The section on speakers on which nothing was chosen; nothing where there is none."""
    if others is None:
        return []
    found, here = other_verdicts(others), {(row["part"], row["name"]): row for row in rows}
    sizes = "; ".join(f"{part}: {_sized(settings)}" for part, settings in others["settings"].items())
    table = (
        (f"{row['part']}: {row['name']}", measured(here[row["part"], row["name"]]), measured(row), row["bound"],
         verdict_word(row))
        for row in found
    )  # fmt: skip
    return [
        "", f"## {OTHERS_TITLE}", "",
        "Networks never met the speakers of this page. But how strongly they are told what they are told, "
        "temperatures, how large smiles are shown and rates of nods (`model/prompt.py`, `model/sampler.py`, "
        "`model/planner.py`, `nods.npz`) were chosen with an eye on figures above, so these may flatter. With "
        f"seed {_seeds(others)} speakers, temperaments and noise are others, on which nothing was chosen. "
        f"Here: {sizes}. **{count(found)}**", *(["", EARLIER_CODE] if earlier_parts(others, code) else []),
        "", *markdown_table(("figure", "above", "here", "bound", "here it"), table),
    ]  # fmt: skip


def _tried(rows: list[dict[str, Any]], tried: Tries) -> list[str]:
    """The sections on what was tried; nothing where no bound has anything."""
    lines: list[str] = []
    for title, words, holds in ((TRIED_TITLE, "", False), (CHOSEN_TITLE, _CHOSEN, True)):
        told = told_and_tried(rows, tried, holds=holds)
        if told:
            table = (
                (f"{row['part']}: {row['name']}", measured(row), row["bound"], one.what, one.gave)
                for row in told
                for one in tried[row["name"]]
            )
            lines += ["", f"## {title}", "", *([words, ""] if words else [])]
            lines += markdown_table(("bound", "measured", "asked", "tried", "gave"), table)
    return lines


TRIED_TITLE: Final = "What was tried for the missed bounds"
CHOSEN_TITLE: Final = "What was tried for bounds that hold"
_CHOSEN: Final = "Whoever tries until a bound holds may hold it by luck, so this is told as well."


def count(rows: list[dict[str, Any]]) -> str:
    """How many bounds hold, in words, and how many were not measured."""
    held, unknown = (sum(row["holds"] is value for row in rows) for value in (True, None))
    were = "was" if unknown == 1 else "were"
    return f"{held} of {len(rows)} bounds hold" + (f", {unknown} {were} not measured." if unknown else ".")


_ENOUGH: Final = {"items": 100, "trials": 100, "behaviour_items": 50, "stream_items": 100}
"""What the bounds are meant for."""


def _reduced(settings: Figures) -> bool:
    """Whether a part was measured on less."""
    sizes = settings.get("sizes", {})
    return any(sizes.get(name, least) < least for name, least in _ENOUGH.items())


def _section(
    part: str, section: tuple[str, str, Callable[[Figures], list[str]]], evidence: Figures, rows: list[dict[str, Any]],
    pictures: Mapping[str, str], earlier: bool,
) -> list[str]:  # fmt: skip
    title, words, details = section
    lines = [f"## {title}", ""]
    if part in evidence["failed"]:
        return [*lines, f"Not measured: {evidence['failed'][part]}."]
    told = _sized(evidence["settings"].get(part, {}))
    lines += [words + (f" Here: {told}." if told else "") + took(evidence, part) + f" Alone: `{COMMANDS[part]}`."]
    if earlier:
        lines += ["", EARLIER_CODE]
    own = [row for row in rows if row["part"] == part]
    if own:
        shown = ((row["name"], measured(row), row["bound"], verdict_word(row), row["why"]) for row in own)
        lines += ["", *markdown_table(("figure", "measured", "bound", "", "why this bound"), shown)]
    lines += details(evidence["parts"][part])
    for name in _PICTURES.get(part, ()):
        if name in pictures:
            lines += ["", f"![{title}: {name.replace('_', ' ')}]({pictures[name]})"]
            lines += ["", _CAPTIONS[name]] if name in _CAPTIONS else []
    return lines


def _sized(settings: Figures) -> str:
    """On how much a part was measured, in words; "" where that was not kept."""
    return ", ".join(f"{name.split('_')[-1]} {size:g}" for name, size in settings.get("sizes", {}).items())


_PICTURES: Final = {
    "simulator": ("systems", "time_line"), "response": ("responses",), "behaviour": ("lags",), "streams": ("spectra",),
    "controls": ("controls",),
}  # fmt: skip
_CAPTIONS: Final = {
    "systems": "Dashed: the oracle; dotted: the shuffled listeners; lines: 95 % intervals.",
    "responses": "Shaded: 0.3 to 1.5 s after the speaker's smile begins, in which an answer counts.",
    "spectra": "raw: as planned; shown: smoothed; reference: simulated listeners. Bands: 0.2-1.8, 1.8-6.5, 6.5-12 Hz.",
}  # fmt: skip
PICTURES: Final = tuple(name for names in _PICTURES.values() for name in names)
"""Names of the pictures that the page shows where they are there."""

COMMANDS: Final = {
    "simulator": "reactdiff evaluate simulator --voices FILE", "dyads": "reactdiff evaluate dyads --folder DIR",
    "response": "reactdiff bench response --voices FILE", "behaviour": "reactdiff evaluate behaviour --voices FILE",
    "streams": "reactdiff evaluate streams --items 200 --voices FILE",
    "choice": "reactdiff evaluate evidence --part choice --output DIR",
    "controls": "reactdiff evaluate controls --voices FILE", "sessions": "reactdiff evaluate sessions --voices FILE",
    "autoencoder": "reactdiff evaluate evidence --part autoencoder --output DIR",
    "speed": "reactdiff bench model",
}  # fmt: skip
"""What measures a part alone."""

SECTIONS: Final[dict[str, tuple[str, str, Callable[[Figures], list[str]]]]] = {
    "simulator": (
        "Listening to simulated speakers",
        "REACT's definitions on held-out simulated speakers, ten streams each. It shows how much of a known "
        "distribution is recovered from noisy perception. It is no evidence of human likeness and is never to "
        "be set beside published figures of REACT: other speakers, other attributes, other listeners. FRC: agreement "
        "with appropriate reactions, more is better; FRD: distance (DTW) from the nearest of them, less is better; "
        "FRDiv, FRDvs, FRVar: how much streams, speakers and moments differ, to be as the oracle's. The oracle: fresh "
        "simulated listeners of the same speakers; shuffled: the same people listening to others; policy: the same "
        "people told what perception delivers; a skill of 0 is shuffled, 1 the oracle. Ten streams are ten people: "
        "the model is told their controls, and a style of eight numbers measured on each while that one listens to "
        "somebody else.",
        tables.simulator,
    ),
    "dyads": (
        "Beside people in recorded calls",
        "The speaker's smile, cheeks and gaze go in, the listener's smile comes out. It asks whether smiles "
        "come with the partner's, and as often and as long as people's. It says nothing of nods, brows or voice, which "
        "these calls do not tell, nor whether anybody would call the listener natural: nobody rated it. Twelve "
        "pairs are few. The sizes of the simulator's smiles and of the listener's mood, and how fast a smile follows "
        "its plan and how large, were chosen with an eye on these calls' figures (the mood on their first halves), so "
        "C and D_marg are not wholly held out, as was asked. How fast a smile follows was also chosen in four folds by "
        "pair: [model.md](model.md#smiles-take-their-time-and-are-larger).",
        tables.dyads,
    ),
    "response": (
        "Answers to events",
        "Paired trials with the same noise, an event inserted or not. It shows what causes an answer and how "
        "often it comes; speakers are simulated.",
        tables.response,
    ),
    "behaviour": (
        "Lags, reliance, realism, attention",
        "Whether smiles come after the speaker's and not by chance, whether the speaker matters at all, whether "
        "windows can be told from simulated listeners'. An area near 1 means that a classifier tells them "
        "apart, not that a person would.",
        tables.behaviour,
    ),
    "streams": (
        "Free-running streams",
        "Streams as live beside the same model drawn block by block in many steps without choice or smoothing "
        "(ancestral), and beside simulated listeners (reference). It asks whether running live changes "
        "what the model does; not whether the model is right.",
        tables.streams,
    ),
    "choice": (
        "Choice among ten candidates",
        "Streams with a choice over streams without, same speakers and seeds. A choice must not make a duller face.",
        tables.choice,
    ),
    "controls": (
        "Controls and styles",
        "The same speakers with the same noise, one setting swept. It asks whether a setting moves what it "
        "names; how far is in the table.",
        tables.controls,
    ),
    "sessions": (
        "Long sessions",
        "Changing speakers with absences; the last part beside the second. It asks whether anything drifts in that "
        "time; short sessions are the quick form of sessions of an hour, and their intervals are wide.",
        tables.sessions,
    ),
    "autoencoder": (
        "Autoencoder",
        "Reconstruction and use of the latents, measured when it was trained, on simulated listeners.",
        tables.autoencoder,
    ),
    "speed": (
        "Speed and size",
        "The model alone on one thread of the machine named above; elsewhere it takes what it takes there: "
        "[benchmarks.md](benchmarks.md).",
        tables.speed,
    ),
}
"""Title, what it means and does not mean, and the tables of each part, in the page's order."""
