// Draws the rig as SVG: elements are made once a look, each frame only changes their attributes.

import { add } from "./elements.js";
import { rig, surface } from "./rig.js";
import { browShape, eyeShapes, headShape, irisMatrix, mouthShapes, plateShape, ring, smooth } from "./shapes.js";

const CORE = { w: 700, h: 720 }; // what must be on the screen whatever its shape

function gradient(defs, id, kind, stops, attributes = {}) {
  const node = add(defs, kind, { id, ...attributes });
  for (const [offset, colour, opacity = 1] of stops) {
    add(node, "stop", { offset, "stop-color": colour, "stop-opacity": opacity });
  }
}

/** Sets an attribute only if it changed: an untouched element is not painted again. */
function put(node, key, value) {
  const text = typeof value === "number" ? value.toFixed(3) : value;
  if (node["_" + key] !== text) {
    node["_" + key] = text;
    node.setAttribute(key, text);
  }
}

const matrix = (m) => `matrix(${m.map((v) => v.toFixed(3)).join(" ")})`;

export class Face {
  constructor(svg) {
    this.svg = svg;
    this.values = [];
    addEventListener("resize", () => this.fit());
    this.fit();
  }

  /** The view box that holds the face and fills the window. */
  fit() {
    const aspect = Math.max(0.2, innerWidth / Math.max(1, innerHeight));
    const wide = aspect > CORE.w / CORE.h;
    const [w, h] = wide ? [CORE.h * aspect, CORE.h] : [CORE.w, CORE.w / aspect];
    this.svg.setAttribute("viewBox", `${-w / 2} ${-h / 2 - 4} ${w} ${h}`);
  }

  wear(look) {
    this.look = look;
    const c = look.colour;
    const style = document.documentElement.style;
    style.setProperty("--bg0", c.bg0);
    style.setProperty("--bg1", c.bg1);
    document.documentElement.dataset.look = look.name;
    document.documentElement.dataset.dark = String(look.dark);
    this.svg.replaceChildren();
    this.paints(c);
    if (look.body) this.makeBody(c);
    this.makeHead(c);
    this.eyes = [1, -1].map((side) => this.makeEye(side, c));
    this.makeNose(c);
    this.makeMouth(c);
    this.brows = [1, -1].map((side) => add(this.svg, "path", { id: side > 0 ? "brow-left" : "brow-right", fill: c.brow }));
    this.draw(new Float32Array(58));
  }

  paints(c) {
    const defs = add(this.svg, "defs");
    this.defs = defs;
    const high = { cx: 0.42, cy: 0.3, r: 0.85 };
    gradient(defs, "paint-head", "radialGradient", [[0, c.head0], [0.55, c.head1], [1, c.head2]], high);
    gradient(defs, "paint-body", "linearGradient", [[0, c.body0], [1, c.body1]], { x1: 0.2, y1: 0, x2: 0.5, y2: 1 });
    gradient(defs, "paint-ear", "radialGradient", [[0, c.ear0], [1, c.ear1]], high);
    gradient(defs, "paint-iris", "radialGradient", [[0.35, c.iris1], [0.8, c.iris0], [1, c.iris1]]);
    gradient(defs, "paint-nose", "radialGradient", [[0, c.nose0], [1, c.nose1]], high);
    gradient(defs, "paint-cheek", "radialGradient", [[0, c.cheek, 0.75], [0.45, c.cheek, 0.4], [1, c.cheek, 0]]);
    gradient(defs, "paint-shade", "radialGradient", [[0, c.shade, 0.34], [1, c.shade, 0]]);
    gradient(defs, "paint-socket", "radialGradient", [[0.6, c.shade, 0.16], [1, c.shade, 0]]);
    if (c.plate0) gradient(defs, "paint-plate", "linearGradient", [[0, c.plate0], [1, c.plate1]], { x1: 0.3, y1: 0, x2: 0.6, y2: 1 });
  }

  makeBody(c) {
    const edge = c.edge === "none" ? {} : { stroke: c.edge, "stroke-width": 6 };
    add(this.svg, "path", { d: "M-62 190 L-70 300 L70 300 L62 190Z", fill: c.body1, ...edge });
    add(this.svg, "path", { id: "body", fill: "url(#paint-body)", ...edge,
      d: "M-330 2400 L-330 420 C-330 318 -236 276 -118 268 Q0 260 118 268 C236 276 330 318 330 420 L330 2400Z" });
    this.bodyShade = add(this.svg, "ellipse", { cx: 0, cy: 276, rx: 150, ry: 40, fill: "url(#paint-shade)" });
  }

  makeHead(c) {
    const edge = c.edge === "none" ? {} : { stroke: c.edge, "stroke-width": 6, "stroke-linejoin": "round" };
    this.head = add(this.svg, "g", { id: "head" });
    if (this.look.antenna) {
      this.stalk = add(this.head, "path", { fill: "none", stroke: c.edge === "none" ? c.body1 : c.edge, "stroke-width": 9,
        "stroke-linecap": "round" });
      this.bulb = add(this.head, "circle", { r: 16, fill: "url(#paint-ear)", ...edge });
    }
    this.ears = this.look.ears ? [1, -1].map(() => add(this.head, "path", { fill: "url(#paint-ear)", ...edge })) : [];
    this.outline = add(this.head, "path", { id: "outline", fill: "url(#paint-head)", ...edge });
    if (!this.look.head.visible) this.outline.setAttribute("visibility", "hidden");
    this.plate = this.look.plate ? add(this.head, "path", { id: "plate", fill: "url(#paint-plate)" }) : null;
    this.cheeks = [1, -1].map((side) => add(this.head, "circle",
      { id: side > 0 ? "cheek-left" : "cheek-right", r: 1, fill: "url(#paint-cheek)" }));
  }

  makeEye(side, c) {
    const name = side > 0 ? "left" : "right";
    const group = add(this.svg, "g", { id: "eye-" + name });
    const clip = add(add(this.defs, "clipPath", { id: "clip-eye-" + name }), "path");
    const eye = { clip };
    const rim = c.rim ? { stroke: c.rim, "stroke-width": 4, "stroke-linejoin": "round" } : {};
    eye.socket = this.look.flat || this.look.dark ? null : add(group, "circle", { r: 1, fill: "url(#paint-socket)" });
    eye.cover = add(group, "path", { fill: this.look.eye.lid ? c.lid : "none" });
    eye.opening = add(group, "path", { id: "opening-" + name, fill: c.white, ...rim });
    const inside = add(group, "g", { "clip-path": `url(#clip-eye-${name})` });
    eye.iris = add(inside, "circle", { id: "iris-" + name, r: 1, fill: "url(#paint-iris)" });
    eye.pupil = add(inside, "circle", { id: "pupil-" + name, r: 1, fill: c.pupil });
    eye.shine = add(inside, "circle", { r: 1, fill: c.shine });
    eye.spark = add(inside, "circle", { r: 1, fill: c.shine, opacity: 0.75 });
    const line = { fill: "none", "stroke-linecap": "round", "stroke-linejoin": "round" };
    eye.lower = add(group, "path", { ...line, stroke: c.crease, "stroke-width": 5 });
    eye.upper = add(group, "path", { ...line, id: "lid-" + name, stroke: c.lash, "stroke-width": this.look.eye.lash });
    return eye;
  }

  makeNose(c) {
    if (!this.look.nose) {
      this.nose = this.wrinkles = null;
      return;
    }
    const group = add(this.svg, "g", { id: "nose" });
    this.nose = add(group, "circle", { r: 1, fill: "url(#paint-nose)" });
    this.noseShine = add(group, "circle", { r: 1, fill: c.shine, opacity: this.look.flat ? 0 : 0.55 });
    this.wrinkles = [1, -1].map(() => add(group, "path",
      { fill: "none", stroke: c.crease, "stroke-width": 5, "stroke-linecap": "round", opacity: 0 }));
  }

  makeMouth(c) {
    const group = add(this.svg, "g", { id: "mouth" });
    const clip = add(add(this.defs, "clipPath", { id: "clip-mouth" }), "path");
    const line = { fill: "none", stroke: c.crease, "stroke-width": 5, "stroke-linecap": "round" };
    this.mouth = { clip };
    this.mouth.dimples = [1, -1].map(() => add(group, "path", line));
    this.mouth.chin = add(group, "path", line);
    this.mouth.lips = add(group, "path", { id: "lips", fill: c.lip });
    this.mouth.inner = add(group, "path", { id: "mouth-inner", fill: c.inside, stroke: c.line, "stroke-linejoin": "round" });
    const inside = add(group, "g", { "clip-path": "url(#clip-mouth)" });
    this.mouth.tongue = add(inside, "path", { fill: c.tongue });
    this.mouth.teeth = add(inside, "path", { id: "teeth", fill: c.teeth });
    this.mouth.rim = add(group, "path", { fill: "none", stroke: c.line, "stroke-linejoin": "round" });
    this.mouth.tip = add(group, "path", { id: "tongue-tip", fill: c.tongue, stroke: c.line, "stroke-width": 3 });
  }

  /** Draw 58 coefficients. */
  draw(values) {
    const r = rig(values, this.look);
    this.values = Array.from(values);
    this.drawHead(r);
    r.eyes.forEach((eye, i) => this.drawEye(r.project, eye, this.eyes[i]));
    r.brows.forEach((brow, i) => put(this.brows[i], "d", browShape(r.project, brow, this.look)));
    if (this.nose) this.drawNose(r);
    this.drawMouth(r);
  }

  drawHead({ project, jaw, cheeks }) {
    const { look } = this;
    put(this.outline, "d", headShape(project, jaw, look));
    this.ears.forEach((ear, i) => {
      const { r, z } = look.ears;
      const side = i ? -1 : 1;
      put(ear, "d", smooth(ring(project, { x: side * (look.head.w - 4), y: 4, w: r * 0.72, h: r, power: 2.3, z }, 16)));
    });
    if (this.bulb) {
      const h = look.head.h;
      const [foot, tip] = [project(0, h - 12, -40), project(0, h + 62, -50)];
      put(this.stalk, "d", smooth([foot, tip], false));
      put(this.bulb, "cx", tip[0]);
      put(this.bulb, "cy", tip[1]);
    }
    if (this.plate) put(this.plate, "d", plateShape(project, jaw, look));
    if (this.bodyShade) {
      const [x] = project(0, -look.head.h, 0);
      put(this.bodyShade, "cx", x);
    }
    cheeks.forEach((cheek, i) => {
      const { x, y, r, rest, full } = look.cheek;
      put(this.cheeks[i], "transform",
        this.disc(project, cheek.side * x, y + cheek.lift, r * cheek.size, r * 0.74 * cheek.size, 0));
      put(this.cheeks[i], "opacity", rest + (full - rest) * cheek.blush);
    });
  }

  /** The matrix that lays a unit circle onto the face at (x, y). */
  disc(project, x, y, w, h, lift) {
    const z = surface(x, y) + lift;
    const c = project(x, y, z);
    const e = 4; // the surface's slope near the centre tilts the disc
    const px = project(x + e, y, surface(x + e, y) + lift), py = project(x, y - e, surface(x, y - e) + lift);
    return matrix([(px[0] - c[0]) * w / e, (px[1] - c[1]) * w / e, (py[0] - c[0]) * h / e, (py[1] - c[1]) * h / e, c[0], c[1]]);
  }

  drawEye(project, eye, nodes) {
    const { look } = this;
    const shapes = eyeShapes(project, eye, look);
    put(nodes.cover, "d", shapes.cover);
    put(nodes.opening, "d", shapes.opening);
    put(nodes.clip, "d", shapes.opening);
    put(nodes.upper, "d", shapes.upperEdge);
    put(nodes.lower, "d", shapes.lowerEdge);
    const faint = look.eye.lash ? 0.55 : 0.7;
    put(nodes.lower, "opacity", eye.bag * faint * (1 - 0.8 * eye.closed));
    put(nodes.upper, "stroke-width", look.eye.lash || 7 * Math.max(0, (eye.closed - 0.75) * 4));
    if (nodes.socket) {
      put(nodes.socket, "transform", this.disc(project, eye.side * look.eye.x, look.eye.y - 4, eye.a * 1.38, eye.b * 1.34, 0));
    }
    const { iris, pupil } = look.eye;
    put(nodes.iris, "transform", matrix(irisMatrix(project, eye, look, Math.max(0.01, iris))));
    const m = irisMatrix(project, eye, look, pupil * eye.pupil);
    put(nodes.pupil, "transform", matrix(m));
    // The light does not turn with the eye: its reflections lag behind the pupil.
    const size = Math.max(iris, pupil);
    const lag = (1 - Math.cos(eye.yaw)) * 6;
    put(nodes.shine, "transform", matrix([size * 0.27, 0, 0, size * 0.27, m[4] - size * 0.3 - lag, m[5] - size * 0.36]));
    put(nodes.spark, "transform", matrix([size * 0.13, 0, 0, size * 0.13, m[4] + size * 0.34, m[5] + size * 0.36]));
  }

  drawNose({ project, nose }) {
    const { r, y, z } = this.look.nose;
    const lift = 5 * (nose.left + nose.right);
    put(this.nose, "transform", this.disc(project, 1.5 * (nose.left - nose.right), y + lift, r * 1.18, r, z));
    const c = project(0, y + lift, surface(0, y) + z);
    put(this.noseShine, "transform", matrix([r * 0.34, 0, 0, r * 0.24, c[0] - r * 0.35, c[1] - r * 0.4]));
    [nose.left, nose.right].forEach((sneer, i) => {
      const side = i ? -1 : 1;
      const at = (dx, dy) => project(side * dx, y + dy, surface(dx, y + dy) + z * 0.5);
      put(this.wrinkles[i], "d", smooth([at(17, 44), at(23, 30), at(34, 19)], false));
      put(this.wrinkles[i], "opacity", sneer * 0.8);
    });
  }

  drawMouth({ project, mouth }) {
    const { look } = this;
    const shapes = mouthShapes(project, mouth, look);
    const nodes = this.mouth;
    put(nodes.lips, "d", shapes.lips);
    put(nodes.inner, "d", shapes.inner);
    put(nodes.clip, "d", shapes.inner);
    put(nodes.rim, "d", shapes.inner);
    put(nodes.inner, "stroke-width", mouth.line);
    put(nodes.rim, "stroke-width", mouth.line * 0.62);
    put(nodes.teeth, "d", shapes.teeth);
    put(nodes.teeth, "opacity", Math.min(1, Math.max(0, (shapes.widest - 7) / 8)) * (1 - mouth.toothless));
    put(nodes.tongue, "d", shapes.tongue);
    put(nodes.tongue, "opacity", Math.min(1, Math.max(0, (shapes.widest - 22) / 14)));
    put(nodes.tip, "d", shapes.tip);
    put(nodes.tip, "opacity", Math.min(1, mouth.tongue * 4));
    [mouth.dimple.left, mouth.dimple.right].forEach((amount, i) => {
      put(nodes.dimples[i], "d", shapes.dimples[i]);
      put(nodes.dimples[i], "opacity", amount * 0.75);
    });
    put(nodes.chin, "d", shapes.chin);
    put(nodes.chin, "opacity", mouth.chinCrease * 0.8);
  }
}

/** What is drawn, read back from the drawing itself (screen pixels, y down): for tests and for the curious. */
export function measure(svg) {
  const scale = svg.getScreenCTM();
  const screen = (x, y) => ({ x: scale.a * x + scale.e, y: scale.d * y + scale.f });
  const rect = (id) => {
    const node = svg.querySelector("#" + id);
    const box = node.getBBox();
    return { ...screen(box.x, box.y), width: box.width * scale.a, height: box.height * scale.d };
  };
  const centre = (id) => {
    const m = svg.querySelector("#" + id).getCTM();
    return { x: m.e, y: m.f };
  };
  const line = svg.querySelector("#mouth-inner");
  const length = line.getTotalLength();
  let left = { x: -Infinity }, right = { x: Infinity };
  for (let i = 0; i < 240; i++) {
    const p = line.getPointAtLength((length * i) / 240);
    if (p.x > left.x) left = p;
    if (p.x < right.x) right = p;
  }
  const eye = (side) => {
    const opening = rect("opening-" + side);
    return { opening: opening.height, box: opening, pupil: centre("pupil-" + side), brow: rect("brow-" + side) };
  };
  const box = rect("mouth-inner");
  const lips = rect("lips");
  return {
    mouth: { left: screen(left.x, left.y), right: screen(right.x, right.y), opening: box.height, width: box.width, lips },
    eyes: { left: eye("left"), right: eye("right") },
    cheeks: {
      left: Number(svg.querySelector("#cheek-left").getAttribute("opacity")),
      right: Number(svg.querySelector("#cheek-right").getAttribute("opacity")),
    },
    nose: svg.querySelector("#nose circle") ? (() => { const m = svg.querySelector("#nose circle").getCTM(); return { x: m.e, y: m.f }; })() : null,
    outline: rect("outline"),
  };
}
