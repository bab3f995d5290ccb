"""The read-out from its sources, and what it gets on conversations that it has not seen.

Each head is a sum of groups of features: logistic regressions, each with what is already known as its offset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import mannwhitneyu

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.perception.voice import HANG_OVER_S
from reactdiff_ros.recordings.datasets.turns import Turns
from reactdiff_ros.turns.readout import HEADS, Weights
from reactdiff_ros.turns.smart_turn import SmartTurn
from reactdiff_ros.types import OnProgress
from tools.small_networks.turns.faces import face_rows
from tools.small_networks.turns.timings import TICK_S, Rows, pause_rows, situation_rows
from tools.small_networks.turns.voices import MARKS, Endings, joined_endings, make_endings, phrase_endings

Floats = NDArray[np.float64]
LEAST_DIALOGUES: Final = 4
FOLDS: Final = 4
BOUND: Final = 12.0
"""Of a group's log odds."""
VOICE_BOUND: Final = 1.5
NETWORK_BOUND: Final = 2.5
FACE_BOUND: Final = 2.0
"""The most log odds that what was learnt from synthesis or simulation may add: such voices and faces are clearer than
people's."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is made."""

    sessions: int = 48
    """Synthesised voices."""
    worlds: int = 48
    """Simulated faces."""
    every: int = 4
    """Ticks of the dialogues of which one is taken."""


def train(
    dialogues: Sequence[Turns], seed: int, network: SmartTurn | None, plan: Plan, phrases: Path | None,
    progress: OnProgress,
) -> tuple[dict[str, dict[str, Weights]], dict[str, Any]]:  # fmt: skip
    """Weights of all heads, and figures: log loss and AUC over folds of conversations, and gains of each group.

    `phrases`: a folder of `phrase_endings`, whose voices are learnt from as well.

    Raises:
        ReactdiffError: fewer than LEAST_DIALOGUES dialogues, or espeak-ng is missing.
    """
    if len(dialogues) < LEAST_DIALOGUES:
        raise ReactdiffError(
            f"the read-out is trained on {LEAST_DIALOGUES} dialogues at least, and {len(dialogues)} were given",
            todo="give more tables of timings",
        )
    pauses, others = pause_rows(dialogues), situation_rows(dialogues, plan.every)
    progress(0.1)
    heads: dict[str, dict[str, Weights]] = {"eot": {"pause": fit(pauses.columns, pauses.labels)}}
    heads |= {head: {"situation": fit(rows.columns, rows.labels)} for head, rows in others.items()}
    figures: dict[str, Any] = {head: across(rows) for head, rows in {"eot": pauses, **others}.items()}
    endings = make_endings(plan.sessions, seed, network, progress=lambda share: progress(0.1 + 0.5 * share))
    if phrases is not None:
        endings = joined_endings([endings, phrase_endings(phrases, network)])
    heads["eot"] |= voice_weights(endings, pauses, heads["eot"]["pause"], np.random.default_rng([seed, 93]))
    for head, (rows, silence) in face_rows(plan.worlds, seed).items():
        base = fit(silence, rows.labels).logit(silence)
        heads[head]["face"] = fit(rows.columns, rows.labels, offset=base, bound=FACE_BOUND)
    progress(1.0)
    early = np.abs(pauses.time_s - HANG_OVER_S) < TICK_S / 2
    figures["eot"]["ends_at_0.2_s"] = float(pauses.labels[early].mean())
    return {head: heads[head] for head in HEADS}, figures


def fit(
    columns: Floats, labels: NDArray[np.bool_], *, offset: Floats | None = None, penalty: float = 10.0,
    bound: float = BOUND,
) -> Weights:  # fmt: skip
    """Weights of a group that say best what `labels` are, given the log odds so far.

    Args:
        columns: (N, n).
        labels: (N,).
        offset: (N,) log odds of the groups before; None: 0.
        penalty: of the squared weights of columns with variance 1; as strong as so many samples.
        bound: of the group's log odds.
    """
    count = columns.shape[1]
    mean, scale = columns.mean(axis=0), columns.std(axis=0)
    scale[scale < 1e-6] = 1.0
    x = (columns - mean) / scale
    base = np.zeros(len(labels)) if offset is None else offset
    sign = np.where(labels, 1.0, -1.0)

    def loss(theta: Floats) -> tuple[float, Floats]:
        margin = sign * (base + x @ theta[:count] + theta[count])
        wrong = sign / (1.0 + np.exp(np.clip(margin, -60.0, 60.0)))
        value = float(np.logaddexp(0.0, -margin).sum()) + 0.5 * penalty * float(theta[:count] @ theta[:count])
        return value, np.append(penalty * theta[:count] - x.T @ wrong, -float(wrong.sum()))

    found: Any = minimize(loss, np.zeros(count + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return Weights(found.x[:count], mean, scale, float(found.x[count]), bound)


def voice_weights(endings: Endings, pauses: Rows, timing: Weights, rng: np.random.Generator) -> dict[str, Weights]:
    """What the end of an utterance and smart-turn add to timing, from pauses of real timing with voices laid under.

    smart-turn comes first, because it was trained on people. It is fitted without questions: it takes those of
    espeak-ng, which rise like clauses that go on, for unfinished, and people's not.
    """
    units, first = np.unique(pauses.unit, return_index=True)
    which = endings.draw(pauses.labels[first], rng)[np.searchsorted(units, pauses.unit)]
    base = timing.logit(pauses.columns)
    voice, network = endings.voice[which], endings.network[which]
    found: dict[str, Weights] = {}
    answered = np.isfinite(network).all(1)
    known = answered & (endings.mark[which] != MARKS.index("?"))
    labels = pauses.labels
    if known.any():
        found["network"] = fit(network[known], labels[known], offset=base[known], penalty=100.0, bound=NETWORK_BOUND)
        base[answered] += found["network"].logit(network[answered])
    known = np.isfinite(voice).all(1)
    found["voice"] = fit(voice[known], labels[known], offset=base[known], penalty=100.0, bound=VOICE_BOUND)
    return found


def across(rows: Rows) -> dict[str, float]:
    """AUC and log loss a sample of timing, in nats, over folds of conversations; `constant`: of the mean alone."""
    fold = rows.dialogue % FOLDS
    logits = np.zeros(len(rows.labels))
    for k in range(FOLDS):
        left = fold == k
        logits[left] = fit(rows.columns[~left], rows.labels[~left]).logit(rows.columns[left])
    sign = np.where(rows.labels, 1.0, -1.0)
    mean = float(rows.labels.mean())
    return {
        "auc": auc(logits, rows.labels), "log_loss": float(np.logaddexp(0.0, -sign * logits).mean()),
        "constant": entropy(mean), "samples": len(rows.labels), "mean": mean,
    }  # fmt: skip


def entropy(share: float) -> float:
    """Log loss of who always says the mean, nats a sample."""
    return float(-sum(p * np.log(p) for p in (share, 1.0 - share) if p > 0.0))


def auc(scores: Floats, labels: NDArray[np.bool_]) -> float:
    """Area under the receiver operating characteristic; ties count half; NaN with one class alone."""
    if labels.all() or not labels.any():
        return float("nan")
    positive, negative = scores[labels], scores[~labels]
    above: Any = mannwhitneyu(positive, negative, method="asymptotic").statistic
    return float(above / (len(positive) * len(negative)))


def about(
    dialogues: Mapping[str, Turns], seed: int, plan: Plan, network: str, figures: Mapping[str, Any]
) -> dict[str, Any]:
    """What the weights say of themselves."""
    return {
        "timings": sorted(dialogues), "minutes": round(sum(t.seconds for t in dialogues.values()) / 60.0, 1),
        "ends_at_0.2_s": round(figures["eot"]["ends_at_0.2_s"], 4), "seed": seed,
        "synthesised_voices": plan.sessions, "simulated_faces": plan.worlds, "network": network,
        "over_folds_of_conversations": {
            head: {name: round(value, 4) for name, value in found.items()} for head, found in figures.items()
        },
    }  # fmt: skip
