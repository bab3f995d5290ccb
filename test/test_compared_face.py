"""A face that is compared with the first one: set up, shown, and ended when no page shows it."""

import time

import numpy as np
from deadline import until

from reactdiff_ros.coefficients import SMILE
from reactdiff_ros.launching import compared_face
from reactdiff_ros.launching.compared_face import ComparedFace
from reactdiff_ros.types import SpeakerFrame


def test_it_answers_until_no_page_shows_it_and_reports_an_unknown_style(monkeypatch):
    smiles, failures = [0.1], list[str]()
    values = np.zeros(58, np.float32)
    values[list(SMILE)] = 0.9

    def shown() -> float:
        """How broadly it smiles at somebody who smiles."""
        now_ns, sure = time.time_ns(), np.ones(58, np.float32)
        face.observe(SpeakerFrame(now_ns, now_ns, None, 0, True, True, values, sure, 1.0, *[None] * 4))
        return smiles[-1]

    face = ComparedFace(
        lambda frame: smiles.append(float(frame.coefficients[list(SMILE)].mean())),
        lambda error, where: failures.append(str(error)), lambda: 5,
    )  # fmt: skip
    try:
        face.keep(wanted=True)
        assert face.name == ""
        face.choose("mime")
        until(lambda: shown() > 0.3, "no answer")
        face.choose("idle")
        until(lambda: shown() < 0.05, "still the other policy")
        monkeypatch.setattr(compared_face, "KEPT_S", 0.0)
        face.keep(wanted=False)
        assert (face.name, failures) == ("", [])
        face.choose("no such style")
        until(lambda: failures, "not reported")
        assert "no such style" in failures[0]
        assert face.name == ""
    finally:
        face.stop()
