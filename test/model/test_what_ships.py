"""What ships together was made together: weights, the simulator they were trained on, their evidence and their card."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from reactdiff_ros.model.weights import find_weights
from reactdiff_ros.simulator.dyads import simulator_hash

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "resource" / "models" / "live"


@pytest.fixture(scope="module")
def evidence() -> dict[str, Any]:
    return dict(json.loads((ROOT / "docs" / "evidence.json").read_text(encoding="utf-8")))


def digest() -> str:
    """Of the manifest, which holds the checksum of every other file."""
    return hashlib.sha256((SHIPPED / "manifest.json").read_bytes()).hexdigest()[:12]


def test_the_shipped_weights_were_trained_on_the_simulator_of_this_source() -> None:
    shipped = find_weights("")
    assert shipped.folder == SHIPPED
    assert shipped.digest == digest()
    assert shipped.simulator == simulator_hash()


def test_the_evidence_is_of_the_shipped_weights_on_this_simulator(evidence: dict[str, Any]) -> None:
    assert evidence["weights"]["digest"] == digest()
    assert evidence["weights"]["simulator"] == evidence["simulator"] == simulator_hash()
    measured = {name: told for name, told in evidence["settings"].items() if name in evidence["parts"]}
    assert set(measured) == set(evidence["parts"])
    assert {name for name, told in measured.items() if told["weights"] != digest()} == set()
    assert {name for name, told in measured.items() if told["simulator"] != simulator_hash()} == set()
    shipped = find_weights("").nods
    assert {told["nods"] for told in measured.values()} == {None if shipped is None else shipped.digest}


def test_the_card_names_the_shipped_weights_and_their_simulator() -> None:
    text = (SHIPPED / "README.md").read_text(encoding="utf-8")
    assert f"`{digest()}`" in text
    assert set(re.findall(r"`([0-9a-f]{16})`", text)) == {simulator_hash()}
