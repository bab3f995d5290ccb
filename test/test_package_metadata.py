"""What the package says of itself: one version, licences, a valid manifest."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import reactdiff_ros
from reactdiff_ros.resources import package_version

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ElementTree.parse(ROOT / "package.xml").getroot()
NO_CATKIN = "catkin_pkg is not installed (requirements/test.txt)"


def setup_output(*arguments: str) -> list[str]:
    """What setup.py answers to its questions."""
    command = [sys.executable, "setup.py", "-q", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


def test_one_version_everywhere() -> None:
    version = MANIFEST.findtext("version")
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert reactdiff_ros.__version__ == package_version() == version
    assert setup_output("--version", "--name")[-2:] == [version, "reactdiff_ros"]


def test_every_folder_of_weights_has_its_licence_and_card() -> None:
    licences = {"face": "apache-2.0", "lips": "apache-2.0", "live": "apache-2.0", "turns": "apache-2.0", "voice": "mit"}
    folders = sorted((ROOT / "resource" / "models").iterdir())
    assert [folder.name for folder in folders] == sorted(licences)
    for folder in folders:
        assert (folder / "LICENSE.md").is_file(), folder
        card = (folder / "README.md").read_text()
        assert re.search(rf"^license: {licences[folder.name]}$", card, re.MULTILINE), folder
        networks = folder.glob("*.onnx") if folder.name in ("face", "voice") else ()  # those of others
        assert all(hashlib.sha256(path.read_bytes()).hexdigest() in card for path in networks), folder


def test_the_manifest_is_valid() -> None:
    package = pytest.importorskip("catkin_pkg.package", reason=NO_CATKIN)
    warnings: list[str] = []
    parsed = package.parse_package(ROOT / "package.xml", warnings=warnings)
    parsed.validate(warnings=warnings)
    assert warnings == []
    assert {url.type for url in parsed.urls} == {"website", "repository", "bugtracker"}
    assert (ROOT / parsed.licenses[0].file).is_file()
