"""Which settings of Fast DDS a node takes: found quickly after a restart, room for pictures, the user's own first."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from reactdiff_ros.nodes.dds import DISCOVERY, PICTURES, use_profile
from reactdiff_ros.resources import share_path

OLD, NEW = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"
NAMESPACE = "{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}"


@pytest.mark.parametrize(("pictures", "name"), [(False, DISCOVERY), (True, PICTURES)])
def test_every_process_gets_a_profile_of_ours_and_its_children_their_own(pictures, name):
    environment = {}
    use_profile(environment=environment)
    use_profile(pictures=pictures, environment=environment)
    assert {Path(environment[v]).name for v in (OLD, NEW)} == {name}
    assert Path(environment[OLD]).is_file()


def test_the_face_shares_no_memory_unless_the_user_wants_it_to():
    environment = {}
    use_profile(alone=True, environment=environment)
    assert environment["FASTDDS_BUILTIN_TRANSPORTS"] == "UDPv4"
    environment = {"FASTDDS_BUILTIN_TRANSPORTS": "DEFAULT"}
    use_profile(alone=True, environment=environment)
    assert environment["FASTDDS_BUILTIN_TRANSPORTS"] == "DEFAULT"


@pytest.mark.parametrize("variable", [OLD, NEW])
def test_a_users_own_profile_stays(variable):
    environment = {variable: "/the/users/own.xml"}
    use_profile(pictures=True, environment=environment)
    assert environment == {variable: "/the/users/own.xml"}


def test_the_process_itself_is_the_default(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    use_profile()
    assert set(os.environ) == {OLD, NEW}


@pytest.mark.parametrize("name", [DISCOVERY, PICTURES])
def test_profiles_announce_often_enough_to_be_found_within_a_second(name):
    root = ET.parse(share_path("config") / "dds" / name).getroot()
    announcement = next(root.iter(f"{NAMESPACE}leaseAnnouncement"))
    seconds = float(announcement.findtext(f"{NAMESPACE}sec")) + 1e-9 * float(
        announcement.findtext(f"{NAMESPACE}nanosec")
    )
    assert 0.0 < seconds <= 0.5
