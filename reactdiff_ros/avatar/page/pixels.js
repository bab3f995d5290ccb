// Big pixels, as of a small display or a panel of LEDs: the drawing, painted again into a few hundred squares.

import { add } from "./elements.js";

/** Paint a group of the drawing: paths and circles in one colour each, with clips. */
function paint(pen, group, clips) {
  for (const node of group.children) {
    if (node.getAttribute("visibility") === "hidden") continue;
    const opacity = Number(node.getAttribute("opacity") ?? 1);
    if (opacity < 0.05) continue;
    pen.save();
    const clip = node.getAttribute("clip-path");
    if (clip) pen.clip(new Path2D(clips.get(clip.slice(5, -1)).getAttribute("d")));
    if (node.tagName === "g") paint(pen, node, clips);
    else if (node.tagName !== "rect") {
      const move = node.getAttribute("transform");
      if (move) {
        const m = new DOMMatrix(move.replace(/(\d) /g, "$1, "));
        pen.transform(m.a, m.b, m.c, m.d, m.e, m.f);
      }
      const path = new Path2D(node.getAttribute("d") ?? "");
      if (node.tagName === "circle") path.arc(0, 0, Number(node.getAttribute("r")), 0, 7);
      pen.globalAlpha = opacity * Number(node.getAttribute("fill-opacity") ?? 1);
      const [fill, stroke] = [node.getAttribute("fill"), node.getAttribute("stroke")];
      if (fill !== "none") pen.fillStyle = fill, pen.fill(path);
      if (stroke && Number(node.getAttribute("stroke-width")) > 0.5) {
        pen.strokeStyle = stroke;
        pen.lineWidth = Number(node.getAttribute("stroke-width"));
        pen.lineCap = pen.lineJoin = "round";
        pen.stroke(path);
      }
    }
    pen.restore();
  }
}

/** Hide the drawing of `face` and show it in pixels; returns what paints them again. */
export function paintPixels(face) {
  const { svg, art, look, c, key } = face, { frame, style } = look;
  art.setAttribute("visibility", "hidden");
  const size = frame.width / style.pixels, rows = Math.round(frame.height / size);
  const [left, top] = [-frame.width / 2, -frame.y - (rows * size) / 2];
  const place = { x: left, y: top, width: frame.width, height: rows * size };
  add(svg, "rect", { ...place, x: left - 14, y: top - 14, width: frame.width + 28, height: rows * size + 28, rx: 26, fill: c.plate });
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [style.pixels, rows];
  canvas.className = "pixels";
  add(svg, "foreignObject", place).append(canvas);
  // The gaps between the pixels lie over them as a pattern.
  const grid = add(face.defs, "pattern", { id: key + "grid", x: left, y: top, width: size, height: size, patternUnits: "userSpaceOnUse" });
  const hole = size * 0.86, r = size * 0.2, o = (size - hole) / 2;
  add(grid, "path", { fill: c.plate, "fill-rule": "evenodd", d: `M0 0H${size}V${size}H0Z M${o + r} ${o}H${o + hole - r}Q${o + hole} ${o} ${o + hole} ${o + r}V${o + hole - r}`
    + `Q${o + hole} ${o + hole} ${o + hole - r} ${o + hole}H${o + r}Q${o} ${o + hole} ${o} ${o + hole - r}V${o + r}Q${o} ${o} ${o + r} ${o}Z` });
  add(svg, "rect", { ...place, fill: `url(#${key}grid)` });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const clips = new Map([...face.defs.querySelectorAll("clipPath")].map((clip) => [clip.id, clip.firstChild]));
  return () => {
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.globalAlpha = 1;
    pen.fillStyle = look.colour.head;
    pen.fillRect(0, 0, style.pixels, rows);
    pen.setTransform(1 / size, 0, 0, 1 / size, -left / size, -top / size);
    paint(pen, art, clips);
    // A pixel that is covered in part would be dim: its light is raised, so that lines are read from afar.
    const image = pen.getImageData(0, 0, style.pixels, rows), data = image.data;
    for (let i = 0; i < data.length; i += 4) {
      const most = Math.max(data[i], data[i + 1], data[i + 2]), gain = most > 100 ? Math.min(2, 255 / most) : 0.45;
      for (let j = i; j < i + 3; j++) data[j] *= gain;
    }
    pen.putImageData(image, 0, 0);
  };
}
