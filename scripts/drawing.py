"""Boxes, arrows and words of the diagrams in docs/images, as SVG."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

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
    """Parts of a picture in the order of drawing."""

    width: int
    height: int
    title: str
    parts: list[str] = field(default_factory=list)

    def box(self, box: Box) -> Box:
        """Draw a box with its words in the middle."""
        self.parts.append(
            f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.w:g}" height="{box.h:g}" rx="10" '
            f'fill="{FILLS[box.kind]}" stroke="{GREY}" stroke-width="1.2"/>'
        )
        first = box.y + box.h / 2 + 5 - 8.5 * len(box.lines)
        self.text((box.x + box.w / 2, first), box.title, size=14, weight=600)
        for number, line in enumerate(box.lines, 1):
            self.text((box.x + box.w / 2, first + 17 * number), line, size=11.5, fill=GREY)
        return box

    def text(
        self, at: Point, words: str, *, size: float = 12, weight: int = 400, fill: str = INK, anchor: str = "middle"
    ) -> None:
        """Words at a point, which is their "start", "middle" or "end"."""
        self.parts.append(
            f'<text x="{at[0]:g}" y="{at[1]:g}" font-size="{size:g}" font-weight="{weight}" fill="{fill}" '
            f'text-anchor="{anchor}">{escape(words)}</text>'
        )

    def arrow(self, *points: Point, dashed: bool = False) -> None:
        """A line through the points with a tip at the last."""
        path = " L".join(f"{x:g} {y:g}" for x, y in points)
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        self.parts.append(
            f'<path d="M{path}" fill="none" stroke="{LINE}" stroke-width="1.6"{dash} marker-end="url(#tip)"/>'
        )

    def label(self, at: Point, words: str) -> None:
        """Words of an arrow, on a white ground."""
        width = 6.9 * len(words) + 8
        self.parts.append(
            f'<rect x="{at[0] - width / 2:g}" y="{at[1] - 12:g}" width="{width:g}" height="17" fill="#ffffff"/>'
        )
        self.text(at, words, size=11.5)

    def svg(self) -> str:
        """The whole file."""
        head = HEAD.format(w=self.width, h=self.height, title=escape(self.title), line=LINE)
        return head + "\n".join(self.parts) + "\n</svg>\n"
