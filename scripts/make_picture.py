"""Make docs/images/operator.png: the operator's screen while the demo speaker is listened to.

    . ./env.sh && python scripts/make_picture.py [--clip FILE] [--output FILE] [--at 13]

Runs the real graph and photographs its page in headless Chromium.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reactdiff_ros.capture.media import MediaClip  # noqa: E402
from reactdiff_ros.errors import MediaError, ReactdiffError  # noqa: E402
from reactdiff_ros.launching.live_graph import LiveGraph, LiveOptions, wanted_nodes  # noqa: E402
from reactdiff_ros.nodes.graph_watch import watch_graph  # noqa: E402
from reactdiff_ros.resources import demo_clip_path  # noqa: E402
from tools.chromium import Chromium  # noqa: E402

OPERATOR_SIZE = (1280, 800)
NO_FACE = "the face's page did not come"


def until(graph: LiveGraph, condition: Callable[[], bool], what: str, patience_s: float) -> None:
    """Run the graph until `condition`. Raises ReactdiffError when it does not come within `patience_s`."""
    end = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > end:
            todo = "see what the nodes said above, or give more --patience on a slow machine"
            raise ReactdiffError(f"{what} within {patience_s:g} s", todo=todo)
        graph.step(0.05)


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


def main() -> None:
    """Parse, photograph, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "operator.png")
    parser.add_argument("--at", type=float, default=13.0, help="seconds after all nodes are active")
    parser.add_argument("--policy", default="model")
    parser.add_argument("--look", default="soft")
    parser.add_argument("--patience", type=float, default=90.0, help="seconds to wait for what has to come")
    parser.add_argument("--domain", type=int, default=92, help="of ROS: nobody else's")
    arguments = parser.parse_args()
    clip = arguments.clip or demo_clip_path()
    if not MediaClip(clip).has_picture:
        raise MediaError("the clip has no pictures", where=str(clip))
    output = arguments.output
    output.parent.mkdir(parents=True, exist_ok=True)
    given = {"clip": str(clip.absolute()), "policy": arguments.policy, "avatar": arguments.look}
    options = LiveOptions(arguments=given, domain=arguments.domain)
    photograph_operator(options, arguments.at, output, arguments.patience)


if __name__ == "__main__":
    try:
        main()
    except ReactdiffError as problem:
        sys.exit(f"error: {problem}")
