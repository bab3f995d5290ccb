"""The speech actions of other packages, built here as small interfaces of the same names, over DDS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ros_harness import RosGraph

pytestmark = [pytest.mark.ros, pytest.mark.slow]

TTS = """string input
string locale
string voice
---
string error_msg
string text
---
string word
"""
SAY = """string person_id
string input
---
string error_msg
---
string progress
"""
ACTIONS = {"tts_msgs/action/TTS": ("tts_engine/tts", TTS), "communication_skills/action/Say": ("skill/say", SAY)}
CMAKE = """cmake_minimum_required(VERSION 3.22)
project({package})
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
find_package(action_msgs REQUIRED)
list(FILTER AMENT_EXTENSIONS_rosidl_generate_idl_interfaces EXCLUDE REGEX "_cpp:")
rosidl_generate_interfaces({package} action/{name}.action DEPENDENCIES action_msgs)
ament_package()
"""
PACKAGE = """<package format="3">
  <name>{package}</name><version>0.0.0</version><description>For a test</description>
  <maintainer email="test@example.com">test</maintainer><license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend><buildtool_depend>rosidl_default_generators</buildtool_depend>
  <depend>action_msgs</depend><member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
"""
CLIENT = """
import json, sys
from importlib import import_module
import rclpy
from rclpy.action import ActionClient
package, _, name = sys.argv[1].split("/")
kind = getattr(import_module(package + ".action"), name)
rclpy.init()
node = rclpy.create_node("client")
client = ActionClient(node, kind, sys.argv[2])
assert client.wait_for_server(60.0)
def until(future):
    rclpy.spin_until_future_complete(node, future, timeout_sec=60.0)
    return future.result()
words, found = [], []
for text in ("Good morning, my friend.", ""):
    sent = client.send_goal_async(kind.Goal(input=text), feedback_callback=lambda m: words.append(str(m.feedback)))
    ended = until(until(sent).get_result_async())
    fields = ended.result.get_fields_and_field_types()
    found.append({"status": ended.status, **{field: getattr(ended.result, field) for field in fields}})
print(json.dumps({"words": words, "found": found}))
"""


def built(kind: str, definition: str, folder: Path) -> Path:
    """The prefix of a package with this action alone."""
    package, _, name = kind.split("/")
    (folder / "action").mkdir(parents=True)
    (folder / "action" / f"{name}.action").write_text(definition)
    (folder / "CMakeLists.txt").write_text(CMAKE.format(package=package, name=name))
    (folder / "package.xml").write_text(PACKAGE.format(package=package))
    prefix, build = folder / "install", folder / "build"
    python = [f"-D{key}={sys.executable}" for key in ("Python3_EXECUTABLE", "PYTHON_EXECUTABLE")]
    for command in (
        ["cmake", "-S", folder, "-B", build, f"-DCMAKE_INSTALL_PREFIX={prefix}", "-DBUILD_TESTING=OFF", *python],
        ["cmake", "--build", build],
        ["cmake", "--install", build],
    ):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
    return prefix


@pytest.mark.parametrize("kind", list(ACTIONS))
def test_an_action_of_another_package_is_served_where_it_is_installed(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, definition = ACTIONS[kind]
    prefix = built(kind, definition, tmp_path / "package")
    packages = next(prefix.glob("**/site-packages"), None) or next(prefix.glob("**/dist-packages"))
    for variable, path in (
        ("AMENT_PREFIX_PATH", prefix), ("LD_LIBRARY_PATH", prefix / "lib"), ("PYTHONPATH", packages),
    ):  # fmt: skip
        monkeypatch.setenv(variable, f"{path}{os.pathsep}{os.environ.get(variable, '')}")
    with RosGraph(tmp_path) as graph:
        graph.start("speech_node", device="none", engine="espeak-ng")
        graph.wait_active("speech_node")
        client = [sys.executable, "-c", CLIENT, kind, topic]
        done = subprocess.run(client, capture_output=True, text=True, timeout=120, env=graph.environment)
        assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    said, empty = answer["found"]
    assert said["status"] == 4, "succeeded"
    assert said["error_msg"] == ""
    assert len(answer["words"]) == 4
    assert empty["status"] == 6, "aborted"
    assert empty["error_msg"]
    if "text" in said:
        assert said["text"] == "Good morning, my friend."
