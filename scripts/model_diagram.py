"""The diagram of the model: the way of one picture and one chunk of sound to a face, with shapes.

Every number is read: sizes of the networks from the manifest of the shipped weights, the rest from the code.
"""

from __future__ import annotations

import json
from typing import Final

from drawing import FILLS, GREY, LINE, Box, Drawing, Point

from reactdiff_ros.affect import AFFECT_COUNT
from reactdiff_ros.attributes import ATTRIBUTE_COUNT
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.model.backends.weights import CARD, LOOKS, NOD_CONTROLS, encoder_strides
from reactdiff_ros.model.diffusion import sampler
from reactdiff_ros.model.diffusion.conditions import condition_count
from reactdiff_ros.model.diffusion.latents import GROUP_NAMES, ORDER
from reactdiff_ros.model.diffusion.tokens import FEATURE_COUNT, FRAME_S, STREAM_COUNT, STREAMS
from reactdiff_ros.model.plan import corrections, planner
from reactdiff_ros.resources import resource_path
from reactdiff_ros.types import MFCC_COUNT, REACTION_RATE_HZ

WIDTH, HEIGHT = 1200, 1330
LEFT, MAIN, SIDE, ASIDE = 70, 540, 660, 520
"""Left edge and width of the way itself, and of what stands beside it."""
WORDS: Final = ("no", "one", "two", "three", "four", "five", "six")
SHORT: Final = {"pose_gaze": "pose, gaze", "mfcc": "MFCC"}
FULL: Final = "#44545c"


class Sizes:
    """The numbers of the shipped model as it is sampled live."""

    def __init__(self) -> None:
        folder = resource_path("models/live")
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        self.shape: dict[str, int] = manifest["shape"]
        self.millions = {name: f"{count / 1e6:.2f} M" for name, count in manifest["parameters"].items()}
        self.nods: int = json.loads((folder / CARD).read_text(encoding="utf-8"))["parameters"]
        self.how = sampler.Sampling()
        self.frames = planner.live_frames(self.how, self.shape["horizon"])
        self.strides = encoder_strides(self.shape["dilation"], self.shape["encoder_layers"])

    @property
    def stretches(self) -> str:
        """Of a plan, in words."""
        return WORDS[self.frames // self.how.block]

    def seconds(self, frames: float) -> str:
        """Of so many frames."""
        return f"{frames / REACTION_RATE_HZ:.2f} s"


def model() -> str:
    """The whole picture."""
    n = Sizes()
    d = Drawing(WIDTH, HEIGHT, "The way of one picture and one chunk of sound through the model, with shapes")
    _stage(d, 20, 206, "as it arrives", "sense")
    _stage(d, 222, 600, f"once a frame of {1000 * FRAME_S:.0f} ms", "keep")
    _stage(d, 616, 1072, f"once a plan, every {n.seconds(n.how.hop)}", "think")
    _stage(d, 1090, 1314, "then", "show")
    perception = _perception(d)
    token = _encoder(d, n, perception)
    _looks(d, n)
    latents = _diffusion(d, n, token)
    _face(d, n, latents)
    return d.svg()


def _stage(d: Drawing, top: float, bottom: float, words: str, kind: str) -> None:
    d.parts.append(
        f'<rect x="14" y="{top}" width="30" height="{bottom - top}" rx="8" fill="{FILLS[kind]}" stroke="{GREY}" '
        f'stroke-width="1.2"/>\n<text transform="translate(34 {(top + bottom) / 2}) rotate(-90)" font-size="13" '
        f'font-weight="600" fill="{FULL}" text-anchor="middle">{words}</text>'
    )


def _shape(d: Drawing, at: Point, words: str) -> None:
    d.text((at[0] + 9, at[1]), words, size=11.5, anchor="start")


def _perception(d: Drawing) -> Box:
    picture = d.box(Box(LEFT, 20, "one picture", ("JPEG, with its time of capture",), "person", 250, 60))
    sound = d.box(Box(360, 20, "one chunk of sound", ("20 ms, with its time of capture",), "person", 250, 60))
    perception = d.box(Box(LEFT, 116, "perception", (
        f"face: {COEFFICIENT_COUNT} coefficients with confidences, gaze 3, affect {AFFECT_COUNT}",
        f"voice: speech, {MFCC_COUNT} MFCC, pitch, loudness, pause, utterance",
    ), "sense", MAIN, 90))  # fmt: skip
    for box in (picture, sound):
        x = box.bottom()[0]
        d.arrow(box.bottom(), (x, perception.y))
    return perception


def _encoder(d: Drawing, n: Sizes, perception: Box) -> Box:
    s = n.shape
    grid = d.box(Box(LEFT, 240, f"{REACTION_RATE_HZ:.0f} Hz grid: {FEATURE_COUNT} features, {STREAM_COUNT} flags", (
        "flags: which stream was observed; pitch and MFCC less their means",
    ), "keep", MAIN, 56))  # fmt: skip
    d.arrow(perception.bottom(), grid.top())
    _shape(d, (340, 227), "SpeakerFrame")
    together = Box(LEFT, 450, "inter-class attention", (
        f"the face's class token looks at the voice, the voice's at the face; both merge to {s['width']}",
    ), "keep", MAIN, 56)  # fmt: skip
    for name, title, x, w in (
        ("face", "face: intra-class attention", LEFT, 330),
        ("voice", "voice: the same", 420, 190),
    ):
        streams = [(SHORT.get(stream, stream), width) for stream, of, width in STREAMS if of == name]
        d.box(Box(x, 324, "", (), "keep", w, 98))
        d.text((x + w / 2, 346), title, size=14, weight=600)
        chip = (w - 12) / len(streams)
        for i, (stream, width) in enumerate(streams):
            left = x + 6 + i * chip
            d.parts.append(
                f'<rect x="{left + 3:g}" y="357" width="{chip - 6:g}" height="26" rx="6" fill="#ffffff" '
                f'stroke="{GREY}"/>'
            )
            d.text((left + chip / 2, 374), f"{stream} {width}", size=11.5)
        d.text((x + w / 2, 407), f"(1 + {len(streams)}) tokens of {s['stream_width']}", size=11.5, fill=GREY)
        middle = x + w / 2
        d.arrow((middle, grid.bottom()[1]), (middle, 324))
        d.arrow((middle, 422), (middle, together.y))
    d.box(together)
    reach = (s["window"] - 1) * sum(n.strides)
    apart = f"{', '.join(map(str, n.strides[:-1]))} and {n.strides[-1]}"
    token = d.box(Box(LEFT, 534, f"causal temporal attention, {s['encoder_layers']} layers of {s['heads']} heads", (
        f"{s['window']} frames each, {apart} frames apart: {reach * FRAME_S:.0f} s back in all",
        f"one new frame at a time, keys and values of the past are cached; encoder {n.millions['encoder']}",
    ), "keep", MAIN, 66))  # fmt: skip
    d.arrow(together.bottom(), token.top())
    _shape(d, (340, 524), str(s["width"]))
    d.arrow(grid.right(), (634, grid.right()[1]), (634, 565), (SIDE, 565))
    return token


def _looks(d: Drawing, n: Sizes) -> None:
    """Which past frames each layer of the temporal attention looks at."""
    looks, longest = n.shape["window"] - 1, n.strides[-1]
    d.parts.append(f'<rect x="{SIDE}" y="240" width="{ASIDE}" height="266" rx="10" fill="none" stroke="{GREY}"/>')
    d.text((SIDE + 20, 265), "What a new frame attends to", size=14, weight=600, anchor="start")
    d.text((SIDE + 20, 283), "newest frame on the right; a mark is a cached key and value", size=11.5, fill=GREY,
           anchor="start")  # fmt: skip
    first, last = SIDE + 24.0, SIDE + ASIDE - 24.0
    for i, stride in enumerate(n.strides):
        y = 334 + 50 * i
        every = {1: "every frame", 2: "every 2nd frame", 3: "every 3rd frame"}.get(stride, f"every {stride}th frame")
        d.text((first, y - 13), f"layer {i + 1}, {every}", size=11.5, anchor="start")
        d.parts.append(f'<path d="M{first:g} {y} H{last:g}" stroke="#dfe6e9" stroke-width="9" stroke-linecap="round"/>')
        for back in range(1, looks + 1):
            x = last - (last - first) * back * stride / (looks * longest)
            d.parts.append(f'<circle cx="{x:.1f}" cy="{y}" r="3" fill="{LINE}"/>')
        d.parts.append(f'<circle cx="{last:g}" cy="{y}" r="5" fill="#d9822b"/>')
    d.text((first, 457), f"{looks * longest * FRAME_S:.1f} s ago", size=11.5, fill=GREY, anchor="start")
    d.text((last, 457), "now", size=11.5, fill=GREY, anchor="end")
    fields = f"{looks} x ({' + '.join(map(str, n.strides))})"
    d.text((first, 476), f"A layer sees what those below saw: {fields} frames in all.", size=11.5, fill=GREY,
           anchor="start")  # fmt: skip
    d.text((first, 492), "Only ages count, no absolute time: a session may last for days.", size=11.5, fill=GREY,
           anchor="start")  # fmt: skip


def _diffusion(d: Drawing, n: Sizes, token: Box) -> Box:
    s, how = n.shape, n.how
    past = d.box(Box(LEFT, 640, "own past", ("latents of what was", f"planned, {s['past']} x {s['latent']}"), "think",
                     170, 84))  # fmt: skip
    speaker = d.box(Box(255, 640, "speaker", (f"{s['speech']} newest tokens,", f"{s['speech']} x {s['width']}"),
                        "think", 170, 84))  # fmt: skip
    conditions = d.box(Box(440, 640, f"conditions, {condition_count(s['max_lead'])}", (
        "controls, style, which of", "them are given, source,", "age of the newest token",
    ), "think", 170, 84))  # fmt: skip
    _conditions(d, conditions)
    d.arrow(token.bottom(), speaker.top())
    _shape(d, (340, 622), "tokens")
    context = d.box(Box(LEFT, 764, f"context: 1 + {s['speech']} + {s['past']} tokens of {s['width']}", (
        f"keys and values for {s['denoiser_layers']} layers, computed once for all steps",
    ), "think", MAIN, 56))  # fmt: skip
    for box in (past, speaker, conditions):
        d.arrow(box.bottom(), (box.bottom()[0], context.y))
    title = f"denoiser, {s['denoiser_layers']} layers, {n.millions['denoiser']}: velocity of the noisy stretch"
    denoiser = d.box(Box(LEFT, 860, title, (
        "self-attention within the stretch, cross-attention to the context",
        f"guidance on the speaker {how.guidance:g}; other than 1, also without the speaker's tokens",
    ), "think", MAIN, 86))  # fmt: skip
    d.arrow(context.bottom(), denoiser.top())
    tape = d.box(Box(SIDE, 850, "noise tape", (
        f"K x {how.block} x {s['latent']}, by absolute frame; one tape a candidate",
    ), "think", ASIDE, 62))  # fmt: skip
    d.arrow(tape.left(), (denoiser.x + denoiser.w, tape.left()[1]))
    latents = d.box(Box(LEFT, 988, f"latents of a stretch: K x {how.block} x {s['latent']}", (
        f"the filter of pre-emphasis inverted, from the {WORDS[ORDER]} latents before",
        f"{n.stretches} stretches make a plan, each the next one's past",
    ), "think", MAIN, 84))  # fmt: skip
    d.arrow(denoiser.bottom(), latents.top())
    d.arrow((520, 946), (520, 968), (634, 968), (634, 924), (610, 924), dashed=True)
    d.text((644, 955), f"next of {how.steps} solver steps", size=11.5, anchor="start")
    d.arrow(latents.left(), (57, latents.left()[1]), (57, 622), (past.top()[0], 622), past.top(), dashed=True)
    return latents


def _conditions(d: Drawing, conditions: Box) -> None:
    """From settings and the speaker's smile to the conditions of the networks."""
    smiles = d.box(Box(SIDE, 530, "broad smiles", (
        "the speaker's smile, now", f"or just before, from {corrections.BROAD[0]:g} on",
    ), "keep", 250, 70))  # fmt: skip
    asked = d.box(Box(930, 530, "settings", ("controls, and the style of", "a reference clip"), "person", 250, 70))
    heard = d.box(Box(SIDE, 640, "conditions of the networks", (
        f"responsiveness: setting, or up to {corrections.BROAD_RESPONSIVENESS:g} after a broad smile",
        "delay: none; the speaker's tokens are delayed instead",
    ), "think", ASIDE, 84))  # fmt: skip
    for box in (smiles, asked):
        d.arrow(box.bottom(), (box.bottom()[0], heard.y))
    d.arrow(heard.left(), conditions.right())
    for y, words in (
        (766, "A plan is drawn at every hop, and at once on clear new evidence."),
        (784, "The age of the newest token shows a late picture or a later stretch."),
    ):
        d.text((SIDE, y), words, size=11.5, fill=GREY, anchor="start")  # fmt: skip


def _face(d: Drawing, n: Sizes, latents: Box) -> None:
    latent, frames = n.shape["latent"], n.frames
    decoder = d.box(Box(LEFT, 1108, f"autoencoder's decoder: causal, {len(GROUP_NAMES)} groups apart", (
        f"{', '.join(GROUP_NAMES)}; autoencoder {n.millions['vae']}",
    ), "show", MAIN, 50))  # fmt: skip
    d.arrow(latents.bottom(), decoder.top())
    _shape(d, (340, 1094), f"{frames} x {latent}")
    calm = d.box(Box(LEFT, 1182, "pitch is calmed", (
        f"within {corrections.CALM_RAD} rad of its mean over the last {n.seconds(corrections.CALM)}",
    ), "show", MAIN, 46))  # fmt: skip
    d.arrow(decoder.bottom(), calm.top())
    _shape(d, (340, 1175), f"{frames} x {COEFFICIENT_COUNT}")
    reaction = d.box(Box(LEFT, 1248, f"Reaction: {frames} x {COEFFICIENT_COUNT}, the next {n.seconds(frames)}", (
        "joints of stretches eased, blended with the last plan, nods added, bounded",
        "gaze and blinks are made by the reflexes of the face",
    ), "show", MAIN, 66))  # fmt: skip
    d.arrow(calm.bottom(), reaction.top())
    heads = d.box(Box(SIDE, 1108, f"head for attributes: {frames} x {ATTRIBUTE_COUNT}", (
        "not run live: action units, valence, arousal, expressions",
    ), "person", ASIDE, 50))  # fmt: skip
    d.arrow((610, 1064), (622, 1064), (622, 1133), heads.left(), dashed=True)
    nods = d.box(Box(SIDE, 1178, f"nods: a network of {n.nods / 1e3:.0f} thousand", (
        f"{LOOKS} of the newest tokens, {', '.join(NOD_CONTROLS)}: how likely one begins",
    ), "show", ASIDE, 50))  # fmt: skip
    d.arrow(nods.left(), (634, nods.left()[1]), (634, 1264), (610, 1264))
    shown = d.box(
        Box(SIDE, 1256, "expression_node, 50 Hz", ("gaze, blinks, breath, gestures, limits",), "show", ASIDE, 50)
    )
    d.arrow((610, shown.left()[1]), shown.left())
