"""Make docs/images/listening.png: the demo speaker above, the face that listens to it below, at the same moments.

    . ./env.sh && python scripts/make_picture.py [--clip FILE] [--output docs/images/listening.png] [--at 6 10 14]
    . ./env.sh && python scripts/make_picture.py --operator      # docs/images/operator.png: the operator's screen

Runs the real graph and photographs its page in headless Chromium (the tests' own driver).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "test" / "avatar")]

from chromium import Chromium  # noqa: E402

from reactdiff_ros.capture.media import MediaClip  # noqa: E402
from reactdiff_ros.errors import MediaError, ReactdiffError  # noqa: E402
from reactdiff_ros.launching.live_graph import LiveGraph, LiveOptions, wanted_nodes  # noqa: E402
from reactdiff_ros.nodes.graph_watch import watch_graph  # noqa: E402
from reactdiff_ros.simulator.rendered import demo_clip_path  # noqa: E402

WIDTH, HEIGHT = 480, 360
OPERATOR_SIZE = (1280, 800)
GAP = 6
NO_FACE = "the face's page did not come"


def until(graph: LiveGraph, condition: Callable[[], bool], what: str, patience_s: float) -> None:
    """Run the graph until `condition`. Raises ReactdiffError when it does not come within `patience_s`."""
    end = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > end:
            todo = "see what the nodes said above, or give more --patience on a slow machine"
            raise ReactdiffError(f"{what} within {patience_s:g} s", todo=todo)
        graph.step(0.05)


def photograph(options: LiveOptions, moments: list[float], patience_s: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """(what the camera saw, the face) at each of `moments`, seconds after the first picture."""
    pairs = []
    with (
        tempfile.TemporaryDirectory() as folder,
        LiveGraph(options, lambda s: print(s, file=sys.stderr), Path(folder)) as graph,
        Chromium((WIDTH, HEIGHT)) as browser,
    ):
        watch_graph(graph)
        assert graph.watch is not None
        from rclpy.qos import qos_profile_sensor_data
        from sensor_msgs.msg import CompressedImage

        seen: list[Any] = []

        def take(message: Any, info: Any) -> None:
            seen[:] = [seen[0] if seen else time.monotonic(), message]

        graph.watch.tap(CompressedImage, "camera/image_raw/compressed", take, qos_profile_sensor_data)
        nodes = wanted_nodes(options)
        graph.start(node for node in nodes if node.name in ("expression_node", "avatar_node"))
        until(graph, lambda: graph.url is not None, NO_FACE, patience_s)
        page = browser.open(str(graph.url))
        page.front()
        graph.start(nodes)
        until(graph, lambda: bool(seen), "no picture of the speaker came", patience_s)
        for moment in moments:
            while time.monotonic() < seen[0] + moment:
                graph.step(0.05)
            picture = cv2.imdecode(np.frombuffer(seen[1].data, np.uint8), cv2.IMREAD_COLOR)
            time.sleep(0.1)  # the reaction to this picture is on its way
            shot = page.screenshot(Path(folder) / "shot.png")
            pairs.append((picture, cv2.imread(str(shot))))
            print(f"{moment:g} s", file=sys.stderr)
    return pairs


def photograph_operator(options: LiveOptions, moment: float, output: Path, patience_s: float) -> None:
    """The operator's screen, `moment` seconds after all nodes are active."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LiveGraph(options, lambda s: print(s, file=sys.stderr), Path(folder)) as graph,
        Chromium(OPERATOR_SIZE) as browser,
    ):
        watch_graph(graph)
        graph.start(wanted_nodes(options))
        until(graph, lambda: graph.url is not None, NO_FACE, patience_s)
        until(graph, graph.active, "not every node is active", patience_s)
        page = browser.open(f"{graph.url}operator")
        page.front()
        end = time.monotonic() + moment
        while time.monotonic() < end:
            graph.step(0.05)
        kind = "document.getElementById('state').dataset.kind"
        until(graph, lambda: page.value(kind) == "ok", "the operator's screen does not turn green", patience_s)
        # Where this machine keeps its files is nobody's business.
        shorter = f"e.textContent = e.textContent.replace('{Path(options.arguments['clip']).parent}/', '')"
        page.value(f"document.querySelectorAll('#stages span').forEach((e) => {{ {shorter} }})")
        page.screenshot(output)


def composed(pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """One picture: a column for each moment."""
    columns = []
    for picture, face in pairs:
        scale = WIDTH / picture.shape[1]
        upper = cv2.resize(picture, (WIDTH, round(picture.shape[0] * scale)), interpolation=cv2.INTER_AREA)
        upper = upper[(len(upper) - min(len(upper), HEIGHT)) // 2 :][:HEIGHT]
        columns.append(np.vstack([upper, np.full((GAP, WIDTH, 3), 255, np.uint8), face[:, :WIDTH]]))
        columns.append(np.full((len(columns[-1]), GAP, 3), 255, np.uint8))
    return np.hstack(columns[:-1])


def main() -> None:
    """Parse, photograph, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--operator", action="store_true", help="the operator's screen at the first of --at")
    parser.add_argument("--at", type=float, nargs="+", default=[13.0, 22.0, 29.5, 36.5])
    parser.add_argument("--policy", default="model")
    parser.add_argument("--look", default="soft")
    parser.add_argument("--patience", type=float, default=90.0, help="seconds to wait for what has to come")
    parser.add_argument("--domain", type=int, default=92, help="of ROS: nobody else's")
    arguments = parser.parse_args()
    clip, name = arguments.clip or demo_clip_path(), "operator.png" if arguments.operator else "listening.png"
    if not MediaClip(clip).has_picture:
        raise MediaError("the clip has no pictures", where=str(clip))
    output = arguments.output or ROOT / "docs" / "images" / name
    output.parent.mkdir(parents=True, exist_ok=True)
    given = {"clip": str(clip.absolute()), "policy": arguments.policy, "avatar": arguments.look}
    options = LiveOptions(arguments=given, domain=arguments.domain)
    if arguments.operator:
        photograph_operator(options, arguments.at[0], output, arguments.patience)
        return
    pairs = photograph(options, arguments.at, arguments.patience)
    cv2.imwrite(str(output), composed(pairs), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    try:
        main()
    except ReactdiffError as problem:
        sys.exit(f"error: {problem}")
