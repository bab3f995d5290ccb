"""Make docs/images/architecture.svg and docs/images/many_listeners.svg: the diagrams of the nodes.

    . ./env.sh && python scripts/make_diagrams.py [--output docs/images]

Every name of a node and of a topic is looked up in config/nodes.json: a name that is not there ends the script.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reactdiff_ros.nodes.table import load_table  # noqa: E402

Point = tuple[float, float]
INK, LINE, GREY = "#20303a", "#44545c", "#66767e"
FILLS = {"sense": "#e3edf9", "think": "#fbeddc", "show": "#e2f3ef", "person": "#ffffff", "keep": "#f1e8f6"}
HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" '
    'font-family="\'DejaVu Sans\', Verdana, Arial, sans-serif" role="img" aria-labelledby="t">\n'
    '<title id="t">{title}</title>\n'
    '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
    'orient="auto-start-reverse"><path d="M0 0 L10 5 L0 10 z" fill="{line}"/></marker></defs>\n'
    '<rect width="{w}" height="{h}" rx="14" fill="#ffffff"/>\n'
)


@dataclass(frozen=True)
class Box:
    """A rectangle with a title and lines under it."""

    x: float
    y: float
    title: str
    lines: tuple[str, ...]
    kind: str
    w: float = 178
    h: float = 64

    def left(self, down: float = 0.5) -> Point:
        """The point of the left edge at this share of its height."""
        return self.x, self.y + self.h * down

    def right(self, down: float = 0.5) -> Point:
        """The point of the right edge, likewise."""
        return self.x + self.w, self.y + self.h * down

    def top(self, along: float = 0.5) -> Point:
        """The point of the upper edge at this share of its width."""
        return self.x + self.w * along, self.y

    def bottom(self, along: float = 0.5) -> Point:
        """The point of the lower edge, likewise."""
        return self.x + self.w * along, self.y + self.h


@dataclass
class Drawing:
    """Parts of a picture in the order of drawing; names are checked as they come."""

    width: int
    height: int
    title: str
    parts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        nodes = load_table().nodes
        self._nodes = {node.name for node in nodes}
        self._topics = {topic.name for node in nodes for topic in (*node.publishers, *node.subscribers)}

    def box(self, box: Box) -> Box:
        """Draw a box; a title that looks like a node must be one."""
        if box.title.endswith("_node") and box.title not in self._nodes:
            sys.exit(f"error: {box.title} is no node of config/nodes.json")
        self.parts.append(
            f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.w:g}" height="{box.h:g}" rx="10" '
            f'fill="{FILLS[box.kind]}" stroke="{GREY}" stroke-width="1.2"/>'
        )
        first = box.y + box.h / 2 + 5 - 8.5 * len(box.lines)
        self.text((box.x + box.w / 2, first), box.title, size=14, weight=600)
        for number, line in enumerate(box.lines, 1):
            self.text((box.x + box.w / 2, first + 17 * number), line, size=11.5, fill=GREY)
        return box

    def text(self, at: Point, words: str, *, size: float = 12, weight: int = 400, fill: str = INK) -> None:
        """Words, centred at a point."""
        self.parts.append(
            f'<text x="{at[0]:g}" y="{at[1]:g}" font-size="{size:g}" font-weight="{weight}" fill="{fill}" '
            f'text-anchor="middle">{escape(words)}</text>'
        )

    def arrow(self, *points: Point, dashed: bool = False) -> None:
        """A line through the points with a tip at the last."""
        path = " L".join(f"{x:g} {y:g}" for x, y in points)
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        self.parts.append(
            f'<path d="M{path}" fill="none" stroke="{LINE}" stroke-width="1.6"{dash} marker-end="url(#tip)"/>'
        )

    def topic(self, at: Point, name: str) -> None:
        """The label of an arrow: a topic's name on a white ground."""
        if (name.split("/", 2)[2] if name.startswith("/robot") else name) not in self._topics:
            sys.exit(f"error: {name} is no topic of config/nodes.json")
        width = 6.9 * len(name) + 8
        self.parts.append(
            f'<rect x="{at[0] - width / 2:g}" y="{at[1] - 12:g}" width="{width:g}" height="17" fill="#ffffff"/>'
        )
        self.text(at, name, size=11.5)

    def svg(self) -> str:
        """The whole file."""
        head = HEAD.format(w=self.width, h=self.height, title=escape(self.title), line=LINE)
        return head + "\n".join(self.parts) + "\n</svg>\n"


def architecture() -> str:
    """All nodes, their rooms, and the topics between them."""
    d = Drawing(1240, 590, "The nodes, the rooms that they wrap, and the topics between them")
    camera = d.box(Box(20, 130, "camera_node", ("capture/",), "sense"))
    microphone = d.box(Box(20, 230, "microphone_node", ("capture/",), "sense"))
    clip = d.box(Box(20, 330, "clip_node", ("in place of both", "capture/"), "sense", h=76))
    perception = d.box(Box(330, 230, "perception_node", ("face, gaze, voice", "perception/"), "sense", h=76))
    reaction = d.box(Box(560, 130, "reaction_node", ("encoder, diffusion", "model/"), "think", h=76))
    expression = d.box(Box(760, 268, "expression_node", ("50 faces a second", "expression/"), "show", h=76))
    avatar = d.box(Box(1040, 130, "avatar_node", ("page in a browser", "avatar/"), "show", h=76))
    output = d.box(Box(1040, 268, "output_node", ("VMC, Live Link, ARKit", "outputs/"), "show", h=76))
    actuator = d.box(Box(1040, 406, "actuator_node", ("servos, controllers", "robots/, drivers/"), "show", h=76))
    d.box(
        Box(
            330,
            480,
            "recorder_node",
            ("all topics as a bag,", "pictures and sound with consent; bags/"),
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
    d.text((109, 527), "and watches all nodes", size=11.5, fill=GREY)
    return d.svg()


def many_listeners() -> str:
    """Two robots, and one machine that reacts for both."""
    d = Drawing(960, 330, "Two robots, and one reaction_node that listens for both")
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


if __name__ == "__main__":
    main()
