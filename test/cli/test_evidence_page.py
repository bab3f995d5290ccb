"""The page and the model card: every figure beside its bound, misses shown plainly, nothing of other weights."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reactdiff_ros.cli.evaluate_evidence import sum_up
from reactdiff_ros.cli.evidence_page import CHOSEN_TITLE, COMMANDS, OTHERS_TITLE, SECTIONS, TRIED_TITLE, verdicts
from reactdiff_ros.cli.evidence_page import evidence_page as page_of
from reactdiff_ros.cli.main import main
from reactdiff_ros.cli.markdown import EARLIER_CODE, figure, interval
from reactdiff_ros.cli.model_card import model_card as card_of
from reactdiff_ros.cli.model_card import read_manifest
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.evidence.bounds import BOUNDS
from reactdiff_ros.evaluation.evidence.collection import OTHERS, read_evidence, read_others
from reactdiff_ros.evaluation.evidence.model_code import model_code
from reactdiff_ros.evaluation.evidence.tried import TRIED, Try, read_tried
from reactdiff_ros.model.conditions import CONTROL_COUNT, CONTROL_NAMES
from reactdiff_ros.model.sampler import Sampling, guided, ordinary

GROUPS = ("smile", "head", "gaze")
EACH = dict.fromkeys(GROUPS, 1.0)
RATIO = {"ratio": 1.0, "low": 0.9, "high": 1.1}


def with_interval(*names: str) -> dict[str, float]:
    return {f"{name}{end}": 0.9 for name in names for end in ("", "_low", "_high")}


def figures() -> dict[str, dict[str, Any]]:
    """Made-up figures of every part, in the form of the parts; every bound holds but that of the mime's FRD."""
    system = with_interval("FRC", "FRD", "FRDiv", "FRDvs", "FRVar", "pose", "nods_per_minute")
    skill = with_interval("FRC", "FRD", "FRDiv_ratio", "FRVar_ratio", "pose")
    answer = {"rate": 0.8, "excess": 0.2, "excess_low": 0.1, "excess_high": 0.3, "trials": 200}
    row = {"share": 0.3, "chance": 0.2, "excess": 0.01, "chance_low": -0.05, "chance_high": 0.05}
    lags = {"onsets": 9, "bins": dict.fromkeys(("within_200_ms", "200_to_1000_ms"), row)}
    relies = {"paired": 0.4, "shuffled": 0.1, "reliance": 0.3, "low": 0.2, "high": 0.4}
    person = {"C": 0.2, "C_low": 0.1, "C_high": 0.3, "p": 0.002, "D_marg": 0.4, "passes": True}
    sweep = {"measure": "share", "values": [-1, 1], "mean": [0.1, 0.2], "monotonic": True, **with_interval("rise")}
    shift = {"voice": {"difference": 0.2, "low": 0.1, "high": 0.3}}
    times = {"p50": 0.5, "p99": 0.9, "min": 0.4}
    return {
        "simulator": {
            **dict.fromkeys(("model", "oracle", "mime", "listener_mean"), system), "items": 200,
            "skill": {**skill, **dict.fromkeys(("policy", "mime", "listener_mean"), skill)},
            "bands": {name: {"all": name == "model"} for name in ("model", "policy", "mime", "listener_mean")},
        },
        "dyads": {
            "model": {**person, "note": "each of 4 models on the pairs held out from it"}, "real": person,
            "random": {**person, "passes": False}, "mime": {**person, "passes": False},
        },
        "response": {
            "natural": {**answer, "by_size": {"0.7": answer}}, "responsive_positive": answer,
            "negative": {**answer, "rate": 0.1}, "placebo": {"rate": 0.01, "by_kind": {"head_shift": 0.01}},
            "nods": {"natural": answer}, "excess_rises_with_size": True, "wiring": {"frames_late_most": 0},
        },
        "behaviour": {
            "lags": {"natural": {"with_precursors": lags, "without_precursors": lags}},
            "lags_of_simulated_listeners": {"natural": {"with_precursors": lags}},
            "reliance": {"smile": relies, "face": relies},
            "realism": {
                "frechet": {"distance": 0.3, "floor": 0.1}, "classifier": {"auc": 0.7},
                "classifier_floor": {"auc": 0.5},
            },
            "attention": {"cues": {"laugh": {"intra_face": shift, "inter_face_to_voice": None}}},
        },
        "streams": {
            "variance": {"raw_over_ancestral": EACH, "shown_over_reference": EACH},
            "variance_intervals": {
                "raw_over_ancestral": {"smile": {"low": 0.91, "high": 1.07}}, "shown_over_reference": {},
            },
            "autocorrelation": {"raw_to_ancestral": dict.fromkeys(GROUPS, 0.01)},
            "border_jerk": {"raw": EACH, "shown": EACH}, "plan_difference": dict.fromkeys(GROUPS, 0.2),
            "bands_over_reference": {"raw": {"0.2-1.8 Hz": EACH}},
            "events_per_minute": {"shown": {"nods": 3.0}, "reference": {"nods": 3.0}},
            "events_over_ancestral": {"nods": RATIO}, "events_over_reference": {"nods": RATIO},
        },
        "choice": {"candidates": 10, "variance": EACH, "smile_rate": 1.0, "smile_share": 1.0, "smile_mean": 1.0},
        "controls": {"controls": {"attitude": [sweep]}, "style": {"nod_rate": sweep}},
        "sessions": {
            "ratios": {"rate of smiles": {**RATIO, "second": 3.0, "last": 3.0, "within": True}}, "clamped": 0.001,
            "forgetting": {"left": 0.01}, "sessions": 6, "minutes": 6.0,
            "pose": {
                "headPitch": {
                    "second": 0.02, "last": 0.03, "difference": 0.1, "low": -0.1, "high": 0.2, "within": True,
                },
            },
        },
        "autoencoder": {
            "explained": EACH, "active_units": dict.fromkeys(GROUPS, 3), "units": dict.fromkeys(GROUPS, 4), "kl": EACH,
        },
        "speed": {
            "encoder_frame_ms": times, "plan_ms": {"1": times, "10": times}, "threads": 1, "steps": 6, "guidance": 1.5,
            "parameters": {"encoder": 500_000},
        },
    }  # fmt: skip


CODE = "c0de"
"""Of the model, of today."""


def evidence_page(told: dict[str, Any], pictures: dict[str, str] | None = None, **more: Any) -> str:
    return page_of(told, pictures, code=CODE, **more)


def model_card(*told: dict[str, Any], **more: Any) -> str:
    return card_of(*told, **more, code=CODE)


def evidence(**changes: Any) -> dict[str, Any]:
    parts = figures()
    return {
        "format": 1, "weights": {"name": "live", "digest": "0a0a0a0a0a0a", "simulator": "hash", "parameters": {}},
        "simulator": "hash", "date": "2026-01-02", "hardware": "a processor, 2 cores", "parts": parts, "failed": {},
        "settings": {
            name: {"sizes": {"items": 200}, "code": CODE, "seed": 0, "simulator": "hash"} for name in parts
        },
        **changes,
    }  # fmt: skip


def manifest(**changes: Any) -> dict[str, Any]:
    run = {
        "settings": {"seed": 3, "minutes": 60.0, "steps": 10**6}, "steps": 963, "data": ["voices"], "from": False,
        "known": True,
    }  # fmt: skip
    tuning = {
        "settings": {"steps": 600, "learning_rate": 2e-4}, "steps": 600, "data": ["dyads"], "from": True, "known": True,
    }  # fmt: skip
    shape = {"encoder_layers": 3, "denoiser_layers": 4, "width": 128, "horizon": 16, "speech": 16, "past": 16}
    return {
        "name": "live", "digest": "0a0a0a0a0a0a", "simulator": "hash", "groups": EACH, "conditions": ["attitude"],
        "parameters": {"encoder": 500_000, "vae": 200_000, "denoiser": 1_000_000}, "real": True, "fold": "",
        "ablate": [], "shape": {**shape, "latent": 28}, "training": [run, tuning], **changes,
    }  # fmt: skip


def test_every_bound_is_on_the_page_with_its_verdict() -> None:
    page = evidence_page(evidence())
    rows = verdicts(evidence())
    assert len(rows) == len(BOUNDS)
    missed = [row["name"] for row in rows if row["holds"] is not True]
    assert missed == ["FRD over the mime's"]
    assert page.count("| holds |") == len(BOUNDS) - 1
    assert page.count("**missed**") == 1
    assert f"**{len(BOUNDS) - 1} of {len(BOUNDS)} bounds hold.**" in page
    assert all(row["name"] in page for row in rows)


def test_every_part_has_a_section_and_every_table_its_columns() -> None:
    page = evidence_page(evidence())
    assert set(SECTIONS) == set(figures())
    assert all(f"## {title}" in page for title, _, _ in SECTIONS.values())
    widths = 0
    for line in page.splitlines():
        if line.startswith("|"):
            cells = len(re.findall(r"(?<!\\)\|", line))
            assert widths in (0, cells), line
            widths = cells
        else:
            widths = 0
    assert "None" not in page
    assert "nan" not in re.findall(r"\w+", page)


def test_the_page_tells_what_is_wrong_with_the_evidence() -> None:
    short = {name: {"sizes": {"items": 8}} for name in figures()}
    parts = figures()
    del parts["dyads"]
    page = evidence_page(evidence(simulator="other", settings=short, parts=parts, failed={"dyads": "no folder (x)"}))
    assert "another version of the simulator" in page
    assert "noise" in page
    assert "Not measured: no folder (x)." in page


def test_what_was_not_measured_stands_beside_the_verdict() -> None:
    parts = figures()
    parts["streams"]["events_over_ancestral"]["laughs"] = {"ratio": None, "low": None, "high": None}
    parts["sessions"]["not_judged"] = {"rate of laughs": {"second": 0.0, "last": 0.5}}
    page = evidence_page(evidence(parts=parts))
    assert "1 (nods); not measured: laughs | 0.8 to 1.2 | holds" in page
    assert "so not judged: rate of laughs (0, then 0.5)." in page
    del parts["autoencoder"], parts["speed"]
    rows = verdicts(evidence(parts=parts))
    assert len(rows) == len(BOUNDS)
    unknown = sum(b.part in ("autoencoder", "speed") for b in BOUNDS)
    assert sum(row["holds"] is None for row in rows) == unknown
    sentence = f"{len(BOUNDS) - 1 - unknown} of {len(BOUNDS)} bounds hold, {unknown} were not measured."
    assert sentence in evidence_page(evidence(parts=parts))
    assert sentence in model_card(manifest(), evidence(parts=parts))
    said: list[str] = []
    sum_up({"bounds": rows}, said.append)
    assert said[-1] == sentence


def test_variances_stand_with_their_intervals_where_these_are_known() -> None:
    parts = figures()
    assert "| smile | 1 (0.91 to 1.07) | 1 |" in evidence_page(evidence(parts=parts))
    del parts["streams"]["variance_intervals"]
    assert "| smile | 1 | 1 |" in evidence_page(evidence(parts=parts))


def test_page_and_card_tell_how_many_of_several_are_out() -> None:
    parts = figures()
    parts["streams"]["bands_over_reference"]["raw"] = {
        "0.2-1.8 Hz": {"smile": 1.0, "head": 2.0, "gaze": 9.0}, "1.8-6.5 Hz": {"smile": 3.0, "head": 0.7},
    }  # fmt: skip
    told = evidence(parts=parts)
    for text in (evidence_page(told), model_card(manifest(), told)):
        assert "3 (smile, 1.8-6.5 Hz; 2 of 4 are out)" in text


def test_a_sweep_whose_interval_reaches_0_does_not_rise() -> None:
    parts = figures()
    parts["controls"]["style"]["nod_size"] = {**parts["controls"]["style"]["nod_rate"], "rise_low": -0.01}
    row = next(row for row in verdicts(evidence(parts=parts)) if row["part"] == "controls")
    assert (row["holds"], row["of"], row["out"]) == (False, "style, nod_size", 1)


def test_the_evidence_of_the_shipped_weights_makes_a_page_and_a_card() -> None:
    root = Path(__file__).parents[2]
    found = read_evidence(root / "docs" / "evidence.json")
    tried = read_tried(root / "docs" / TRIED)
    assert tried
    page = evidence_page(found, tried=tried)
    assert all(bound.name in page for bound in BOUNDS)
    weights = root / "resource" / "models" / "live"
    card = model_card({**read_manifest(weights), "digest": found["weights"]["digest"]}, found)
    assert "## Scores" in card
    assert "None" not in page + card


def other_seed(seed: int = 1, **changes: Any) -> dict[str, Any]:
    """Of two parts, on other speakers; one bound that holds above does not hold here."""
    parts = {name: figures()[name] for name in ("simulator", "response")}
    parts["response"]["placebo"]["rate"] = 0.5
    settings = {name: {"code": CODE, "seed": seed, "simulator": "hash", "sizes": {"items": 100}} for name in parts}
    return evidence(**{"parts": parts, "settings": settings, **changes})


def test_what_other_speakers_gave_stands_beside_what_was_chosen_on() -> None:
    others = other_seed()
    page, card = evidence_page(evidence(), others=others), model_card(manifest(), evidence(), others=others)
    section = page.split(f"## {OTHERS_TITLE}\n")[1]
    assert "With seed 1 speakers" in section
    assert "Here: simulator: items 100; response: items 100." in section
    count = sum(bound.part in ("simulator", "response") for bound in BOUNDS)
    assert f"**{count - 2} of {count} bounds hold.**" in section
    assert "| response: placebos: answers | 0.01 | 0.5 | at most 0.05 | **missed** |" in section
    assert "dyads:" not in section
    assert f"(../../../docs/evidence.md#the-same-on-other-speakers): {count - 2} of {count} bounds hold." in card
    assert "with seed 0" in page.split("\n## ")[0]
    assert OTHERS_TITLE not in evidence_page(evidence())
    assert "earlier code" not in section + card
    for settings in others["settings"].values():
        settings["code"] = "old"
    page, card = evidence_page(evidence(), others=others), model_card(manifest(), evidence(), others=others)
    assert page.split(f"## {OTHERS_TITLE}\n")[1].count(EARLIER_CODE) == 1
    assert f"{count - 2} of {count} bounds hold. Measured with earlier code of the model." in card


def test_evidence_that_is_not_of_other_speakers_is_refused(tmp_path: Path) -> None:
    def read(others: dict[str, Any]) -> dict[str, Any]:
        (tmp_path / OTHERS).write_text(json.dumps(others))
        return read_others(tmp_path / OTHERS, evidence())

    assert read(other_seed())["parts"].keys() == {"simulator", "response"}
    of_other_weights = {**evidence()["weights"], "digest": "1b1b1b1b1b1b"}
    elsewhere = {name: {"code": "code", "seed": 1, "simulator": "old"} for name in ("simulator", "response")}
    for others, sentence in (
        (other_seed(seed=0), "the same speakers"),
        (other_seed(weights=of_other_weights), "other weights"),
        (other_seed(settings=elsewhere), "another simulator"),
        (other_seed(settings={}), "another simulator"),
    ):
        with pytest.raises(ReactdiffError, match=sentence):
            read(others)


def test_the_page_of_the_command_shows_other_speakers_where_they_were_measured(tmp_path: Path) -> None:
    (tmp_path / "evidence.json").write_text(json.dumps(evidence()))
    command = ["docs", "evidence", str(tmp_path / "evidence.json"), "--output", str(tmp_path / "page.md")]
    assert main(command) == 0
    assert OTHERS_TITLE not in (tmp_path / "page.md").read_text()
    (tmp_path / OTHERS).write_text(json.dumps(other_seed()))
    assert main(command) == 0
    assert OTHERS_TITLE in (tmp_path / "page.md").read_text()


def test_every_section_names_the_command_that_measures_it() -> None:
    page = evidence_page(evidence())
    assert set(COMMANDS) == set(SECTIONS)
    assert all(f"Alone: `{command}`." in page for command in COMMANDS.values())


def test_what_d_marg_is_made_of_is_shown_where_it_is_known() -> None:
    told = evidence()
    assert "What D_marg is the mean of" not in evidence_page(told)
    told["parts"]["dyads"]["model"]["D_by_marginal"] = {"log episode rate": 0.7, "s.d.": 0.4}
    assert "| log episode rate | 0.7 |" in evidence_page(told)


def test_a_part_of_earlier_code_says_so() -> None:
    told = evidence()
    assert "earlier code" not in evidence_page(told) + model_card(manifest(), told)
    told["settings"]["dyads"]["code"] = "other"
    del told["settings"]["speed"]["code"]
    page = evidence_page(told)
    assert page.count("Measured with earlier code of the model") == 2
    for title in ("Beside people in recorded calls", "Speed and size"):
        assert "earlier code" in page.split(f"## {title}")[1].split("\n## ")[0]
    assert "Measured with earlier code of the model: dyads, speed." in model_card(manifest(), told)


def test_the_page_tells_how_long_a_part_took() -> None:
    page = evidence_page(evidence(seconds={"simulator": 1080.0, "choice": 90.0, "speed": 2.0, "autoencoder": 0.01}))
    assert "It took 18 min (asked: at most 15 min for 200 speakers on 2 cores)." in page
    assert "Not among them, and missed: the simulator's part took 18 min of 15." in page
    assert "It took 1.5 min." in page
    assert "It took 2 s." in page
    assert page.count("It took") == 3


def test_page_and_card_tell_how_much_of_the_pose_is_chance() -> None:
    parts = figures()
    system = {**parts["simulator"]["model"], "nod_match": 0.96, "nod_chance": 0.84, "nods_per_minute": 7.7}
    parts["simulator"] |= {"model": system, "oracle": {**system, "nods_per_minute": 2.9}}
    parts["simulator"]["skill"] |= {"pose_concordance": 0.19, "nod_match": 1.06, "nod_beyond_chance": 0.3}
    told = evidence(parts=parts)
    page, card = evidence_page(told), model_card(manifest(), told)
    assert "the model's 7.7 a minute match 0.96, and moved to other times 0.84 (88%) by chance" in page
    assert "the skill in nods is 0.3" in page
    assert "| simulator | skill in turns of the head | 0.19 | none |  |" in card
    assert "| simulator | skill in nods beyond chance | 0.3 | none |  |" in card
    assert "| simulator | skill in pose beyond chance | not measured | none |  |" in card


def test_the_card_tells_how_well_the_model_is_told_apart() -> None:
    parts = figures()
    card = model_card(manifest(), evidence(parts=parts))
    assert (
        "| behaviour | Frechet distance of windows of 2 s; between simulated listeners | 0.3; 0.1 | none |  |" in card
    )
    assert "between simulated listeners | 0.7; 0.5 | none |  |" in card
    assert "(conversations alone) | 0.9, 0.9 | none |  |" in card
    del parts["behaviour"]
    assert "Frechet" not in model_card(manifest(), evidence(parts=parts))


def test_the_card_claims_nods_at_cues_only_where_they_were_measured() -> None:
    parts = figures()
    for low, says in ((0.03, "its nods know phrases and pauses"), (-0.01, "its nods answer no cue")):
        parts["response"]["nods"] = {"natural": {**parts["response"]["natural"], "excess_low": low}}
        assert says in model_card(manifest(), evidence(parts=parts))
    del parts["response"]["nods"]
    assert "its nods answer no cue" in model_card(manifest(), evidence(parts=parts))


def test_where_the_head_is_held_is_judged() -> None:
    parts = figures()
    assert "| headPitch | 0.02 | 0.03 | 0.1 (-0.1 to 0.2) | yes |" in evidence_page(evidence())
    parts["sessions"]["pose"]["headPitch"]["high"] = 0.3
    row = next(row for row in verdicts(evidence(parts=parts)) if row["name"].startswith("where the head"))
    assert (row["holds"], row["of"], row["out"], row["count"]) == (False, "headPitch, high end", 1, 2)
    del parts["sessions"]["pose"]
    assert "Where the head is held was not measured." in evidence_page(evidence(parts=parts))


def test_nods_to_a_cue_stand_beside_simulated_listeners() -> None:
    parts = figures()
    told = evidence(parts=parts)
    assert "How often simulated listeners nod to the same cues was not measured." in evidence_page(told)
    assert "| 0.2 (0.1 to 0.3); not measured; not measured | none |  |" in model_card(manifest(), told)
    row = {"rate": 0.2, "excess": 0.15, "excess_low": 0.05, "excess_high": 0.25, "trials": 60}
    parts["response"]["nods_of_simulated"] = {name: {"natural": row} for name in ("simulator", "policy")}
    parts["response"]["nods"]["natural"] = {**row, "excess": 0.0, "excess_low": 0.0, "excess_high": 0.0}
    page, card = evidence_page(told), model_card(manifest(), told)
    assert "| nods to a backchannel cue, natural: a simulated listener who knows the speaker | 0.2 | 0.15 (" in page
    assert "| 0 (0 to 0); 0.15 (0.05 to 0.25); 0.15 (0.05 to 0.25) | none |  |" in card
    missed = [row["name"] for row in verdicts(told) if row["part"] == "response" and not row["holds"]]
    assert missed == ["nods answer cues: excess, lower end of its 95 % interval"]


def test_what_was_tried_is_told_of_missed_bounds_and_of_those_that_hold() -> None:
    tried = {"FRD over the mime's": [Try("more steps", ".98"), Try("fewer", ".99")], "skill in FRC": [Try("luck", "1")]}
    page, card = evidence_page(evidence(), tried=tried), model_card(manifest(), evidence(), tried=tried)
    section, held = page.split(f"## {TRIED_TITLE}\n")[1].split(f"## {CHOSEN_TITLE}\n")
    assert "| simulator: FRD over the mime's | 1 | below 1 | more steps | .98 |" in section
    assert ".99" in section
    assert "luck | 1 |" not in section
    assert re.search(r"\| simulator: skill in FRC \| .* \| luck \| 1 \|", held)
    assert "(../../../docs/evidence.md#what-was-tried-for-the-missed-bounds) is told for 1 of them." in card
    assert TRIED_TITLE not in evidence_page(evidence()) + model_card(manifest(), evidence())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "cannot be read"),
        ('{"a": 3', "cannot be read"),
        ('{"skill in FRC": [{"what": "x"}]}', "cannot be read"),
        ('{"skill in FRC": [{"what": "x", "gave": 3}]}', "cannot be read"),
        ('{"skill in cooking": []}', "no bound: skill in cooking"),
    ],
)
def test_a_bad_file_of_what_was_tried_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / TRIED).write_text(text)
    with pytest.raises(ReactdiffError, match=sentence):
        read_tried(tmp_path / TRIED)


def test_pictures_are_linked_where_they_are() -> None:
    page = evidence_page(evidence(), {"lags": "images/evidence_lags.png"})
    assert page.count("![") == 1
    assert "(images/evidence_lags.png)" in page


def test_the_console_says_what_the_page_says() -> None:
    rows = verdicts(evidence())
    said: list[str] = []
    sum_up({"bounds": rows}, said.append)
    assert len(said) == len(rows) + 1
    assert sum("missed" in line for line in said) == 1


def test_the_card_tells_data_commands_scores_and_limits() -> None:
    card = model_card(manifest(), evidence(), trained_on="One core, 60 minutes, torch 2.13")
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert "reactdiff train --output runs/live --seed 3 --minutes 60 --voices runs/voices.npz" in card
    assert "reactdiff train --output runs/tuned --from runs/live/checkpoint.pt --steps 600 --dyads DYADS" in card
    assert "reactdiff export runs/tuned/checkpoint.pt" in card
    assert "963 and 600" in card
    assert "| MIT |" in card
    assert "One core, 60 minutes, torch 2.13." in card
    assert "**missed**" in card
    assert "no person has rated" in card
    assert "0.2" in card.split("Tested:")[1]


def test_the_card_tells_of_a_condition_what_the_network_is_told() -> None:
    lines = model_card(manifest(conditions=list(CONTROL_NAMES)), evidence()).splitlines()
    told, rest = next(line for line in lines if "Told to it:" in line).split("Told to it:")[1].split(".", 1)
    conditions = ordinary(2, np.ones((2, CONTROL_COUNT), dtype=np.float32))
    vector = dict(zip(CONTROL_NAMES, conditions.vector(0, 3)[0, :CONTROL_COUNT], strict=True))
    assert re.findall(r"`(\w+)`", told) == [name for name, value in vector.items() if value]
    assert re.findall(r"`(\w+)`", rest) == [name for name, value in vector.items() if not value]
    assert "told 0" not in model_card(manifest(), evidence())


def test_the_card_tells_how_responsiveness_is_helped() -> None:
    card = model_card(manifest(conditions=list(CONTROL_NAMES)), evidence())
    factor = float(re.findall(r"up to ([\d.]+) times", card)[0])
    controls = np.zeros((1, CONTROL_COUNT), dtype=np.float32)
    controls[0, CONTROL_NAMES.index("responsiveness")] = 1.0
    assert guided(ordinary(1, controls), Sampling())[0] == pytest.approx(factor)
    assert "guidance on the speaker" not in model_card(manifest(), evidence())


def test_the_rate_of_nods_stands_on_the_card_beside_people_s() -> None:
    parts = figures()
    parts["streams"]["events_per_minute"] = {"shown": {"nods": 5.5}, "reference": {"nods": 1.8}}
    parts["simulator"]["oracle"] = {**parts["simulator"]["oracle"], "nods_per_minute": 2.9}
    card = model_card(manifest(), evidence(parts=parts))
    beside = "nods a minute, simulated people's beside it"
    assert f"| streams | {beside} (all worlds, also empty and silent ones) | 5.5, 1.8 | none |  |" in card
    assert f"| simulator | {beside} (conversations alone) | 0.9, 2.9 | none |  |" in card
    del parts["streams"], parts["simulator"]
    assert "nods a minute" not in model_card(manifest(), evidence(parts=parts))


def test_the_card_names_public_sets_what_they_trained_and_whose_terms_hold() -> None:
    first, tuning = manifest()["training"]
    sets = {**first, "data": ["expression_names", "react"]}
    heads = {**tuning, "settings": {"sound": False}, "data": ["mars", "dualtalk"]}
    card = model_card(manifest(training=[sets, heads], autoencoder={"labelled_frames": 700}), evidence())
    rows = {row.split(" ")[1]: row for row in card.splitlines() if "see the set's own terms" in row}
    assert set(rows) == {"REACT2023", "MARS", "DualTalk"}
    assert "face and head, affect of the speaker, voice, attributes from its labels" in rows["REACT2023"]
    assert "voice" not in rows["MARS"] + rows["DualTalk"]
    assert "keeps to the terms of the sets" in card
    assert "--expression-names NAMES --data react:REACT" in card
    assert "--data mars:MARS --data dualtalk:DUALTALK --no-sound" in card
    unlabelled = model_card(manifest(training=[{**sets, "data": ["react"]}]), evidence())
    assert "| head, affect of the speaker, voice |" in unlabelled
    assert "see the set's own terms" not in model_card(manifest(training=[sets], real=False), evidence())


def test_the_card_of_simulated_dyads_alone_names_no_calls() -> None:
    parts = figures()
    del parts["dyads"]
    card = model_card(manifest(training=manifest()["training"][:1], real=False), evidence(parts=parts))
    assert "MIT" not in card
    assert "Nothing: recorded calls were not given" in card


def test_evidence_of_other_weights_makes_no_card() -> None:
    with pytest.raises(ReactdiffError, match="of weights 0a0a0a0a0a0a"):
        model_card(manifest(digest="b"), evidence())


def test_docs_evidence_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "evidence.json").write_text(json.dumps(evidence()))
    (tmp_path / TRIED).write_text(json.dumps({"FRD over the mime's": [{"what": "more steps", "gave": ".98"}]}))
    page = tmp_path / "docs" / "evidence.md"
    assert main(["docs", "evidence", str(tmp_path / "evidence.json"), "--output", str(page)]) == 0
    assert page.read_text() == page_of(evidence(), code=model_code(), tried=read_tried(tmp_path / TRIED))
    assert "more steps" in page.read_text()
    assert main(["docs", "evidence", str(tmp_path / "nothing.json")]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_the_card_of_real_weights(random_weights: Path) -> None:
    with pytest.raises(ReactdiffError, match="how the weights were trained"):
        read_manifest(random_weights)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (None, "none"),
        (True, "yes"),
        (1234.5, "1234"),
        (0.0, "0"),
        (0.0002, "2.0e-04"),
        (-0.5, "-0.5"),
    ],
)
def test_figures_as_text(value: Any, text: str) -> None:
    assert figure(value) == text


def test_an_interval_without_ends_is_a_figure() -> None:
    assert interval({"C": 0.2, "C_low": 0.1, "C_high": 0.3}, "C") == "0.2 (0.1 to 0.3)"
    assert interval({"C": 0.2}, "C") == "0.2"
