"""The shipped weights on recordings of acted emotions, through the real perception: they smile back."""

import numpy as np
import pytest

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.coefficients import SMILE
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.perception.speaker import SpeakerPerception
from reactdiff_ros.types import Picture

SEEDS = 10
LATENCY_NS = 30_000_000


def frames_of(path):
    perception = SpeakerPerception()
    return [
        perception.observe_picture(Picture(10**12 + item.offset_ns, item.bgr))
        for item in MediaClip(path).pictures_and_sound()
        if item.kind == "picture"
    ]


def mean_smile(listener, frames, seed):
    """Mean smile of what is committed, from the clip's first plan to its end."""
    listener.reset(seed)
    shown = {}
    for frame in frames:
        listener.observe(frame)
        plan = listener.plan(frame.stamp_ns + LATENCY_NS)
        if plan is not None:
            for i, face in enumerate(plan.coefficients):
                shown[plan.start_ns + i * 40_000_000] = face[list(SMILE)].mean()
    end = frames[-1].stamp_ns + LATENCY_NS
    return np.mean([smile for time, smile in shown.items() if time <= end])


@pytest.mark.clips
def test_smiles_more_at_happy_faces_than_at_neutral_ones(clips):
    listener = DiffusionListener(seed=0)
    faces = {
        kind: [frames_of(clips(f"emotions/dreamtalk_{person}_{kind}.mp4")) for person in ("m030", "w009")]
        for kind in ("happy", "neutral")
    }
    differences = [
        np.mean([mean_smile(listener, f, seed) for f in faces["happy"]])
        - np.mean([mean_smile(listener, f, seed) for f in faces["neutral"]])
        for seed in range(SEEDS)
    ]
    assert sum(d >= 0.1 for d in differences) >= 8, differences
