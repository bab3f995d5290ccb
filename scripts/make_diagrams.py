"""Make the diagrams in docs/images: architecture.svg, many_listeners.svg (the nodes) and model.svg (one frame's way).

    . ./env.sh && python scripts/make_diagrams.py [--output docs/images]

Every name of a node and of a topic is looked up in config/nodes.json: a name that is not there ends the script. Sizes
of the model are those of the shipped weights and of the code's settings.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from drawing import GREY, Box, Drawing, Point  # noqa: E402
from model_diagram import model  # noqa: E402

from reactdiff_ros.launching.table import load_table  # noqa: E402


@dataclass
class Graph(Drawing):
    """A picture of nodes and topics, whose names are checked as they come."""

    def __post_init__(self) -> None:
        nodes = load_table().nodes
        self._nodes = {node.name for node in nodes}
        self._topics = {topic.name for node in nodes for topic in (*node.publishers, *node.subscribers)}

    def box(self, box: Box) -> Box:
        """Draw a box; a title that looks like a node must be one."""
        if box.title.endswith("_node") and box.title not in self._nodes:
            sys.exit(f"error: {box.title} is no node of config/nodes.json")
        return super().box(box)

    def topic(self, at: Point, name: str) -> None:
        """The label of an arrow: a topic's name."""
        if (name.split("/", 2)[2] if name.startswith("/robot") else name) not in self._topics:
            sys.exit(f"error: {name} is no topic of config/nodes.json")
        self.label(at, name)


def architecture() -> str:
    """All nodes, their rooms, and the topics between them."""
    d = Graph(1240, 590, "The nodes, the rooms that they wrap, and the topics between them")
    camera = d.box(Box(20, 130, "camera_node", ("capture/",), "sense"))
    microphone = d.box(Box(20, 230, "microphone_node", ("capture/",), "sense"))
    clip = d.box(Box(20, 330, "clip_node", ("replaces both", "capture/"), "sense", h=76))
    perception = d.box(Box(330, 230, "perception_node", ("face, gaze, voice", "perception/"), "sense", h=76))
    reaction = d.box(Box(560, 130, "reaction_node", ("encoder, diffusion", "model/"), "think", h=76))
    expression = d.box(Box(760, 268, "expression_node", ("50 faces a second", "expression/"), "show", h=76))
    avatar = d.box(Box(1040, 130, "avatar_node", ("page in a browser", "avatar/"), "show", h=76))
    output = d.box(Box(1040, 268, "output_node", ("VMC, Live Link, ARKit", "avatar/"), "show", h=76))
    actuator = d.box(Box(1040, 406, "actuator_node", ("servos, controllers", "actuation/"), "show", h=76))
    d.box(
        Box(
            330,
            480,
            "recorder_node",
            ("all topics as a bag,", "pictures and sound with consent; recordings/"),
            "keep",
            w=286,
            h=76,
        )
    )
    you = d.box(Box(560, 20, "you, or a dialogue system", (), "person", w=378, h=40))

    d.arrow(camera.right(), (264, camera.right()[1]), (264, perception.left(0.25)[1]), perception.left(0.25))
    d.arrow(microphone.right(), (240, microphone.right()[1]), (240, perception.left(0.5)[1]), perception.left(0.5))
    d.arrow(clip.right(0.5), (264, clip.right(0.5)[1]), (264, perception.left(0.75)[1]), perception.left(0.75))
    d.topic((300, 148), "camera/image_raw/compressed")
    d.topic((233, 258), "audio")
    d.topic((300, 388), "camera/image_raw/compressed")
    d.topic((233, 405), "audio")
    d.arrow(perception.right(0.25), (534, perception.right(0.25)[1]), (534, reaction.left()[1]), reaction.left())
    d.topic((480, 190), "speaker/frame")
    d.arrow(perception.right(0.8), (perception.right()[0] + 20, perception.right(0.8)[1]), (730, 290.8), (760, 290.8))
    d.topic((640, 295), "gaze_target")
    d.arrow(reaction.right(), (849, reaction.right()[1]), expression.top(0.5))
    d.topic((849, 222), "listener/reaction")
    fork = (1000, expression.right(0.35)[1])
    for shown in (avatar, output, actuator):
        d.arrow(expression.right(0.35), fork, (1000, shown.left(0.35)[1]), shown.left(0.35))
    d.topic((985, 252), "listener/expression")
    d.arrow(actuator.left(0.7), (849, actuator.left(0.7)[1]), expression.bottom(0.5), dashed=True)
    d.topic((925, 464), "actuator/head_pose")
    d.arrow((649, 60), reaction.top(0.5), dashed=True)
    d.topic((649, 100), "listener/control")
    d.arrow((915, 60), (915, 268), dashed=True)
    d.topic((915, 85), "listener/control")
    d.topic((915, 104), "listener/gesture")
    d.arrow(you.left(), (419, 40), perception.top(0.5), dashed=True)
    d.topic((419, 100), "robot_speaking")
    d.text((490, 62), "also to reaction_node", size=11.5, fill=GREY)
    d.text((490, 78), "and expression_node", size=11.5, fill=GREY)
    d.text((109, 510), "reactdiff listen starts", size=11.5, fill=GREY)
    d.text((109, 527), "and supervises all nodes", size=11.5, fill=GREY)
    return d.svg()


def many_listeners() -> str:
    """Two robots, and one machine that reacts for both."""
    d = Graph(960, 330, "Two robots, and one reaction_node that listens for both")
    centre = d.box(Box(391, 133, "reaction_node", ("on the lab's machine",), "think"))
    for number, y in (("1", 32), ("2", 234)):
        d.parts.append(
            f'<rect x="20" y="{y - 16}" width="920" height="96" rx="12" fill="none" stroke="{GREY}" '
            'stroke-width="1" stroke-dasharray="3 4"/>'
        )
        d.text((80, y + 37), f"robot{number}", size=13, weight=600, fill=GREY)
        perception = d.box(Box(140, y, "perception_node", (), "sense"))
        expression = d.box(Box(742, y, "expression_node", (), "show"))
        down = 0.2 if number == "1" else 0.8
        high = centre.y + centre.h * down
        d.arrow(perception.right(), (354, perception.right()[1]), (354, high), (centre.x, high))
        d.arrow((centre.x + centre.w, high), (606, high), (606, expression.left()[1]), expression.left())
        label = y + (24 if number == "1" else 50)
        d.topic((420, label), f"/robot{number}/speaker/frame")
        d.topic((640, label), f"/robot{number}/listener/reaction")
    return d.svg()


def main() -> None:
    """Parse, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "architecture.svg").write_text(architecture())
    (folder / "many_listeners.svg").write_text(many_listeners())
    (folder / "model.svg").write_text(model())


if __name__ == "__main__":
    main()
