// Draws the rig as SVG: elements are made once a look, each picture only changes their attributes.

import { add } from "./elements.js";
import { Life } from "./life.js";
import { paintPixels } from "./pixels.js";
import { clamp, mix, named, rig, surface } from "./rig.js";
import { ballRadii, browShape, eyeShapes, headShape, irisMatrix, mouthShapes, plateShape, polyline, ring, smooth } from "./shapes.js";

/** Sets an attribute only if it changed: an untouched element is not painted again. */
function put(node, key, value) {
  const text = typeof value === "number" ? value.toFixed(2) : value;
  if (node["_" + key] !== text) {
    node["_" + key] = text;
    node.setAttribute(key, text);
  }
}

const matrix = (m) => `matrix(${m.map((v) => v.toFixed(3)).join(" ")})`;
const SIDES = [["left", 1], ["right", -1]]; // the face's own
const share = (v, from, to) => clamp((v - from) / (to - from), 0, 1);
const degrees = (angle) => (angle * 180) / Math.PI;
let faces = 0;

export class Face {
  /** Fills `svg` with a face; `seed` makes its small movements its own. */
  constructor(svg, seed = 1) {
    Object.assign(this, { svg, seed, key: `face${++faces}-`, values: [] });
    new ResizeObserver(() => this.fit()).observe(svg);
  }

  /** The view box that holds the face and fills the element; a tall one shows more of the body. */
  fit() {
    const width = this.svg.clientWidth || innerWidth, height = this.svg.clientHeight || innerHeight;
    const { frame, body } = this.look ?? { frame: { width: 620, height: 690, y: 0 }, body: {} };
    const aspect = Math.max(0.2, width / Math.max(1, height));
    const [w, h] = aspect > frame.width / frame.height ? [frame.height * aspect, frame.height] : [frame.width, frame.width / aspect];
    const above = (h - frame.height) * (body.show ? 0.3 : 0.46);
    this.svg.setAttribute("viewBox", `${-w / 2} ${-frame.y - frame.height / 2 - above} ${w} ${h}`);
  }

  /** Make the elements for a whole look (see looks.js). */
  wear(look) {
    this.look = look;
    const c = (this.c = look.colour);
    this.svg.style.setProperty("--ground", c.ground);
    this.svg.style.setProperty("--ground-edge", c.ground_edge);
    this.svg.replaceChildren();
    this.life = new Life(this.seed);
    this.defs = add(this.svg, "defs");
    this.edge = look.style.edge ? { stroke: c.edge, "stroke-width": look.style.edge, "stroke-linejoin": "round" } : {};
    this.art = add(this.svg, "g");
    if (look.body.show) this.makeBody();
    this.makeHead();
    this.eyes = SIDES.map(([name]) => this.makeEye(name));
    if (look.nose.show) this.makeNose();
    this.makeMouth();
    this.brows = SIDES.map(() => add(this.art, "path", { fill: c.brow, visibility: look.brow.show ? "inherit" : "hidden" }));
    this.makeSignal();
    this.veil = add(this.art, "rect", { x: -3000, y: -3000, width: 6000, height: 6000, fill: "#0b0d1c", opacity: 0 });
    if (look.style.pixels) this.pixels = paintPixels(this);
    else this.pixels = null;
    this.fit();
    this.draw(new Float32Array(58), 0);
  }

  /** A gradient of the look, or one colour in a flat look: what `fill` needs. */
  paint(name, kind, stops, attributes = {}) {
    if (this.look.style.flat) return stops[0][1];
    const node = add(this.defs, kind, { id: this.key + name, ...attributes });
    for (const [offset, colour, opacity = 1] of stops) add(node, "stop", { offset, "stop-color": colour, "stop-opacity": opacity });
    return `url(#${this.key + name})`;
  }

  round(name, stops) {
    return this.paint(name, "radialGradient", stops, { cx: 0.4, cy: 0.28, r: 0.85 });
  }

  down(name, stops) {
    return this.paint(name, "linearGradient", stops, { x1: 0.35, y1: 0, x2: 0.55, y2: 1 });
  }

  /** A blot of a colour that fades towards its edge; the circle has radius 1. */
  blot(parent, name, colour, opacity) {
    const flat = this.look.style.flat;
    const fill = this.paint(name, "radialGradient", [[0, colour, opacity], [0.45, colour, opacity * 0.55], [1, colour, 0]]);
    return add(parent, "circle", { r: flat ? 0.62 : 1, fill, "fill-opacity": flat ? opacity : 1 });
  }

  clip(name) {
    return add(add(this.defs, "clipPath", { id: this.key + name }), "path");
  }

  makeBody() {
    const { c, edge } = this, w = this.look.body.width, top = this.look.head.height + 34, cap = w * 0.62;
    const d = `M${-w * 1.16} 2400 C${-w * 1.3} ${top + 420} ${-w * 1.1} ${top + 40} ${-cap} ${top + 14} Q0 ${top - 14} ${cap} ${top + 14} `
      + `C${w * 1.1} ${top + 40} ${w * 1.3} ${top + 420} ${w * 1.16} 2400Z`;
    this.body = add(this.art, "g");
    add(this.body, "path", { d: `M-50 ${top - 90} L-58 ${top + 30} L58 ${top + 30} L50 ${top - 90}Z`, fill: c.body_low, ...edge });
    add(this.body, "path", { d, fill: this.down("body", [[0, c.body], [0.3, c.body_low]]), ...edge });
    this.clip("clip-body").setAttribute("d", d);
    const inside = add(this.body, "g", { "clip-path": `url(#${this.key}clip-body)` });
    if (c.belly !== c.body) add(inside, "ellipse", { cx: 0, cy: top + 420, rx: w * 0.72, ry: 330, fill: c.belly, opacity: 0.9 });
    this.neckShade = this.look.style.flat ? null : this.blot(inside, "neck", "#1a1420", 0.4);
  }

  makeHead() {
    const { c, edge, look } = this, { ears } = look;
    const head = (this.head = add(this.art, "g", { visibility: look.head.show ? "inherit" : "hidden" }));
    const ear = this.round("ear", [[0, c.ear], [1, c.ear_low]]);
    this.halo = this.blot(this.art, "halo", c.signal, 0.9);
    this.art.append(head);
    if (look.antenna.show) {
      this.stalk = add(head, "path", { fill: "none", stroke: c.body_low, "stroke-width": 10, "stroke-linecap": "round" });
    }
    const path = (fill, more = {}) => add(head, "path", { fill, ...more });
    this.ears = ears.show ? SIDES.map(() => path(ear, edge)) : [];
    this.earInside = ears.show && ears.inner ? SIDES.map(() => path(c.ear_inside)) : [];
    this.earLight = ears.show ? SIDES.map(() => path(c.signal, { opacity: 0 })) : [];
    this.outline = path(this.round("head", [[0, c.head_light], [0.5, c.head], [1, c.head_dark]]), edge);
    this.rim = look.plate.show && !look.style.flat ? path("none", { stroke: c.head_dark, "stroke-width": 9, opacity: 0.45 }) : null;
    this.plate = look.plate.show ? path(this.down("plate", [[0, c.plate], [1, c.plate_low]])) : null;
    this.muzzle = look.muzzle.show ? path(c.muzzle, edge) : null;
    this.cheeks = SIDES.map(() => this.blot(this.art, "cheek", c.cheek, 0.8));
  }

  makeEye(name) {
    const { c, look } = this, group = add(this.art, "g");
    const line = { fill: "none", "stroke-linecap": "round", "stroke-linejoin": "round" };
    const glow = look.eye.glow && !look.style.flat ? this.blot(group, "glow", c.eye_low, look.eye.glow) : null;
    const fill = this.down("white", [[0, c.eye], [1, c.eye_low]]);
    const soft = look.eye.lash && !look.style.flat && !look.style.dark;
    const rim = look.style.edge ? { stroke: c.lash, "stroke-width": 4 } : soft ? { stroke: c.crease, "stroke-width": 3, "stroke-opacity": 0.45 } : {};
    const opening = add(group, "path", { fill, ...rim });
    const clip = this.clip("clip-" + name);
    const inside = add(group, "g", { "clip-path": `url(#${this.key}clip-${name})` });
    const dot = (colour, more = {}) => add(inside, "circle", { r: 1, fill: colour, ...more });
    // The light that enters from above comes out at the bottom of an iris.
    const iris = this.paint("iris", "radialGradient", [[0, c.iris], [0.5, c.iris], [1, c.iris_dark]], { cx: 0.5, cy: 0.85, r: 0.8 });
    const eye = { glow, opening, clip, iris: dot(iris), pupil: dot(c.pupil) };
    eye.shade = soft ? add(inside, "path", { fill: c.shade, opacity: 0.13 }) : null;
    Object.assign(eye, { shine: dot(c.shine), spark: dot(c.shine, { opacity: 0.7 }) });
    eye.bag = add(group, "path", { ...line, stroke: c.crease, "stroke-width": 5 });
    eye.crease = add(group, "path", { ...line, stroke: c.crease, "stroke-width": 4.5 });
    eye.lid = add(group, "path", { ...line, stroke: c.lash });
    return eye;
  }

  makeNose() {
    const { c, look } = this, group = add(this.art, "g");
    this.wrinkles = SIDES.map(() => add(group, "path", { fill: "none", stroke: c.crease, "stroke-width": 6, "stroke-linecap": "round", opacity: 0 }));
    this.philtrum = look.muzzle.show ? add(group, "path", { fill: "none", stroke: c.line, "stroke-width": look.mouth.line * 0.8 }) : null;
    this.nose = add(group, "circle", { r: 1, fill: this.round("nose", [[0, c.nose], [1, c.nose_low]]) });
    this.noseShine = add(group, "circle", { r: 1, fill: c.shine, opacity: look.style.flat ? 0 : 0.5 });
  }

  makeMouth() {
    const { c, look } = this, group = add(this.art, "g", { visibility: look.mouth.show ? "inherit" : "hidden" });
    const line = { fill: "none", stroke: c.line, "stroke-linecap": "round", "stroke-linejoin": "round" };
    const clip = this.clip("clip-mouth");
    const chin = add(group, "path", { ...line, stroke: c.crease, "stroke-width": 5 });
    const inner = add(group, "path", { fill: c.inside });
    const inside = add(group, "g", { "clip-path": `url(#${this.key}clip-mouth)` });
    const tongue = add(inside, "path", { fill: c.tongue }), teeth = add(inside, "path", { fill: c.teeth });
    this.mouth = { clip, chin, inner, tongue, teeth, rim: add(group, "path", line), ticks: SIDES.map(() => add(group, "path", { ...line, stroke: c.crease })),
      tip: add(group, "path", { fill: c.tongue, stroke: c.line, "stroke-width": 4 }) };
  }

  /** What shows from afar that it hears, thinks or speaks: the antenna's tip, or dots; waves next to them. */
  makeSignal() {
    const { c, look } = this, group = add(this.art, "g");
    const wave = { fill: "none", stroke: c.signal, "stroke-width": 7, "stroke-linecap": "round", opacity: 0 };
    this.signal = { waves: [1, -1, 1, -1].map(() => add(group, "path", wave)),
      bars: [0, 1, 2].map(() => add(group, "path", { ...wave, "stroke-width": look.antenna.show ? 19 : look.style.pixels ? 26 : 14 })), bulb: null };
    if (look.antenna.show) this.signal.bulb = add(group, "circle", { r: 17, fill: this.round("bulb", [[0, c.ear], [1, c.ear_low]]), ...this.edge });
  }

  /**
   * Draw 58 coefficients at `time` in seconds. `mood` says what the robot does or lacks ({ hearing: 1, level: 0.4 }, see
   * life.js). Springs follow from the pictures before; after a jump of the time they start at rest.
   */
  draw(values, time, mood) {
    const k = named(values), { look } = this;
    const live = this.life.step(k, time, mood), r = rig(k, look, live);
    this.values = Array.from(values);
    this.rigged = r;
    if (this.body) this.drawBody(r.project, live);
    this.drawHead(r, live);
    this.balls = r.eyes.map((eye, i) => this.drawEye(r.project, eye, this.eyes[i]));
    r.brows.forEach((brow, i) => put(this.brows[i], "d", browShape(r.project, brow, look)));
    if (look.nose.show) this.drawNose(r);
    this.drawMouth(r);
    this.drawSignal(r.project, live);
    put(this.veil, "opacity", 0.26 * live.mood.asleep);
    this.pixels?.();
  }

  drawBody(project, { time }) {
    const breath = 2.5 * Math.sin(2 * Math.PI * 0.24 * time);
    put(this.body, "transform", `translate(0 ${breath.toFixed(2)})`);
    const { height } = this.look.head;
    if (this.neckShade) put(this.neckShade, "transform", matrix([190, 0, 0, 52, project(0, -height, 0)[0], height + 26]));
  }

  drawHead({ project, jaw, cheeks }, live) {
    const { look } = this, { ears } = look, { mood } = live;
    put(this.outline, "d", headShape(project, jaw, look));
    this.ears.forEach((ear, i) => {
      const side = i ? -1 : 1, cup = i ? 1 + 0.35 * mood.deaf : 1;
      const at = (size, z) => smooth(ring(project, { x: side * ears.x, y: ears.y, width: ears.width * size * cup,
        height: ears.height * size * cup, power: 2.2, z }, 16));
      put(ear, "d", at(1, -60));
      if (this.earInside[i]) put(this.earInside[i], "d", at(ears.inner, -40));
      put(this.earLight[i], "d", at(0.94, -59));
      put(this.earLight[i], "opacity", mood.hearing * (0.25 + 0.7 * mood.level));
    });
    if (this.stalk) {
      const foot = project(0, look.head.height - 14, -30), up = project(0, look.head.height + look.antenna.length, -40);
      const bend = mood.deaf;
      this.tip = [up[0] + live.antenna[0] + 52 * bend, up[1] - live.antenna[1] + 34 * bend];
      put(this.stalk, "d", `M${foot} Q${mix(foot[0], up[0], 0.8)} ${mix(foot[1], up[1], 0.8) - 12 * bend} ${this.tip}`);
    }
    const shift = `translate(${live.plate.map((v) => v.toFixed(2)).join(" ")})`;
    if (this.plate) {
      put(this.plate, "d", plateShape(project, jaw, look.plate));
      put(this.plate, "transform", shift);
      if (this.rim) {
        put(this.rim, "d", this.plate._d);
        put(this.rim, "transform", shift);
      }
    }
    if (this.muzzle) put(this.muzzle, "d", plateShape(project, { ...jaw, drop: 0.3 * jaw.drop }, look.muzzle, 2.2));
    cheeks.forEach((cheek, i) => {
      const { x, y, radius, rest, full } = look.cheek, size = radius * cheek.size;
      put(this.cheeks[i], "transform", this.disc(project, cheek.side * x, y + cheek.lift + live.cheeks, size, size * 0.74, 0));
      put(this.cheeks[i], "opacity", rest + (full - rest) * cheek.blush);
    });
  }

  /** The matrix that lays a unit circle onto the face at (x, y). */
  disc(project, x, y, w, h, lift) {
    const z = surface(x, y) + lift, c = project(x, y, z);
    const e = 4; // the surface's slope near the centre tilts the disc
    const px = project(x + e, y, surface(x + e, y) + lift), py = project(x, y - e, surface(x, y - e) + lift);
    return matrix([(px[0] - c[0]) * w / e, (px[1] - c[1]) * w / e, (py[0] - c[0]) * h / e, (py[1] - c[1]) * h / e, c[0], c[1]]);
  }

  /** Returns where the ball's middle is drawn, and its edges to the viewer's right and above. */
  drawEye(project, eye, nodes) {
    const { look } = this, shapes = eyeShapes(project, eye, look);
    put(nodes.opening, "d", shapes.opening);
    put(nodes.clip, "d", shapes.opening);
    put(nodes.lid, "d", shapes.upperEdge);
    put(nodes.bag, "d", shapes.bag);
    put(nodes.crease, "d", shapes.crease);
    if (nodes.shade) put(nodes.shade, "d", shapes.shade);
    put(nodes.bag, "opacity", look.eye.crease ? eye.bag * 0.55 * (1 - 0.7 * eye.closed) : 0);
    put(nodes.crease, "opacity", look.eye.crease * (1 + 0.6 * eye.closed));
    put(nodes.lid, "stroke-width", look.eye.lash ? look.eye.lash * (1 + 0.25 * eye.closed) : Math.max(0, 13 * (eye.closed * 4 - 3)));
    if (nodes.glow) {
      const [x, y] = shapes.centre, open = 1 - 0.85 * eye.closed;
      put(nodes.glow, "transform", matrix([eye.a * 1.75, 0, 0, eye.b * 1.6, x, y]));
      put(nodes.glow, "opacity", 0.6 * open);
    }
    const { iris, pupil } = look.eye;
    put(nodes.iris, "transform", matrix(irisMatrix(project, eye, look, Math.max(0.01, iris * eye.iris))));
    const m = pupil ? irisMatrix(project, eye, look, pupil * eye.pupil) : [0.01, 0, 0, 0.01, ...shapes.centre];
    put(nodes.pupil, "transform", matrix(m));
    // The light does not turn with the eye: its reflections lag behind the pupil.
    const size = pupil ? Math.max(iris * 0.85, pupil) : 0, lag = (1 - Math.cos(eye.yaw)) * 6;
    put(nodes.shine, "transform", matrix([size * 0.3, 0, 0, size * 0.3, m[4] - size * 0.36 - lag, m[5] - size * 0.42]));
    put(nodes.shine, "opacity", share(shapes.open, 0.1, 0.3));
    put(nodes.spark, "opacity", 0.7 * share(shapes.open, 0.1, 0.3));
    put(nodes.spark, "transform", matrix([size * 0.14, 0, 0, size * 0.14, m[4] + size * 0.4, m[5] + size * 0.42]));
    const { x, y } = look.eye, z = surface(x, y) + 6, [a, b] = ballRadii(eye, look);
    return [[0, 0], [a, 0], [0, b]].map(([dx, dy]) => project(eye.side * x + dx, y + dy, z));
  }

  drawNose({ project, nose }) {
    const { radius: r, wide, y, z } = this.look.nose, { muzzle, mouth } = this.look;
    const lift = 6 * (nose.left + nose.right);
    put(this.nose, "transform", this.disc(project, 1.5 * (nose.left - nose.right), y + lift, r * wide, r, z));
    const c = project(0, y + lift, surface(0, y) + z);
    put(this.noseShine, "transform", matrix([r * 0.34 * wide, 0, 0, r * 0.22, c[0] - r * 0.35, c[1] - r * 0.42]));
    if (this.philtrum) put(this.philtrum, "d", polyline([project(0, y, surface(0, y) + z * 0.6), project(0, mouth.y + 2, surface(0, mouth.y))], false));
    [nose.left, nose.right].forEach((sneer, i) => {
      const side = i ? -1 : 1, w = r * wide;
      const at = (dx, dy) => project(side * dx, y + dy, surface(dx, y + dy) + z * 0.4);
      put(this.wrinkles[i], "d", smooth([at(w * 0.5 + 6, r + 32), at(w * 0.6 + 14, r + 16), at(w * 0.6 + 28, r + 8)], false));
      put(this.wrinkles[i], "opacity", Math.min(1, 1.3 * sneer) * (muzzle.show ? 0.9 : 0.8));
    });
  }

  drawMouth({ project, mouth }) {
    const shapes = mouthShapes(project, mouth, this.look), nodes = this.mouth;
    for (const node of [nodes.inner, nodes.clip, nodes.rim]) put(node, "d", shapes.inner);
    put(nodes.rim, "stroke-width", mouth.line * (1 - 0.25 * share(shapes.widest, 8, 40)));
    put(nodes.teeth, "d", shapes.teeth);
    put(nodes.teeth, "opacity", mouth.teeth * share(shapes.widest + 26 * mouth.bite, 14, 24));
    put(nodes.tongue, "d", shapes.tongue);
    put(nodes.tongue, "opacity", (1 - 0.8 * mouth.round) * share(shapes.widest, 30, 46));
    put(nodes.tip, "d", shapes.tip);
    put(nodes.tip, "opacity", Math.min(1, mouth.tongue * 4));
    shapes.ticks.forEach((d, i) => {
      const tick = [mouth.left, mouth.right][i].tick;
      put(nodes.ticks[i], "d", d);
      put(nodes.ticks[i], "stroke-width", mouth.line * 0.55 * Math.min(1, 3 * tick));
      put(nodes.ticks[i], "opacity", Math.min(1, 3 * tick));
    });
    put(nodes.chin, "d", shapes.chin);
    put(nodes.chin, "opacity", mouth.chinCrease * 0.8);
    this.corners = shapes.corners;
  }

  drawSignal(project, { mood, time }) {
    const { waves, bars, bulb } = this.signal, { look, halo } = this;
    const [x, y] = bulb ? this.tip : [0, look.body.show ? look.head.height + 78 : look.frame.height / 2 - look.frame.y - 34];
    const awake = 1 - mood.asleep, grey = mood.deaf;
    if (bulb) {
      put(bulb, "transform", `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${(1 + 0.35 * mood.hearing * mood.level).toFixed(3)})`);
      put(bulb, "opacity", 1 - 0.55 * Math.max(grey, mood.asleep));
    }
    const light = mood.hearing * (0.5 + 0.5 * mood.level) + 0.6 * mood.speaking + 0.4 * mood.thinking;
    put(halo, "transform", matrix([56 + 44 * mood.level, 0, 0, 56 + 44 * mood.level, x, y]));
    put(halo, "opacity", Math.min(1, light) * awake * (bulb ? 1 : look.style.pixels ? 0 : 0.6));
    bars.forEach((bar, i) => {
      // Thinking: they hop one after the other. Hearing: they dance with the voice. At rest one dot says that it is awake.
      const hop = Math.max(0, Math.sin(2 * Math.PI * (0.9 * time - 0.18 * i))) ** 2;
      const dance = (mood.hearing * mood.level + 0.7 * mood.speaking) * (0.55 + 0.45 * Math.sin(2 * Math.PI * (2.3 + 0.7 * i) * time + 2 * i));
      const bx = x + (bulb ? 44 + 30 * i : (look.style.pixels ? 48 : 30) * (i - 1)), by = y - (bulb ? 4 * i : 0) - 14 * mood.thinking * hop, up = bulb ? 0 : 22 * dance;
      put(bar, "d", `M${bx.toFixed(1)} ${(by + up).toFixed(1)} L${bx.toFixed(1)} ${(by - up - 0.1).toFixed(1)}`);
      const resting = i === 1 ? 0.45 : 0.14;
      put(bar, "opacity", bulb ? mood.thinking * awake : awake * Math.max(resting * (1 - 0.7 * grey), mood.hearing, mood.thinking, mood.speaking));
    });
    waves.forEach((wave, i) => {
      const side = i % 2 ? -1 : 1, far = i > 1 ? 1 : 0, r = (bulb ? 38 : 74) + 24 * far;
      const at = (angle) => `${(x + side * r * Math.cos(angle)).toFixed(1)} ${(y + r * Math.sin(angle)).toFixed(1)}`;
      put(wave, "d", `M${at(-0.6)} A${r} ${r} 0 0 ${side > 0 ? 1 : 0} ${at(0.6)}`);
      put(wave, "opacity", mood.speaking * (0.55 + 0.45 * Math.sin(2 * Math.PI * 1.4 * time - 1.6 * far)));
    });
  }

  /**
   * What is drawn, read back from the drawing (pixels of the screen, y down): corners and opening of the mouth, whether
   * teeth show, for each eye its pupil, the opening of its lids and its gaze, which adds to the head's turn (degrees; x to the
   * viewer's right, y up).
   */
  measure() {
    const m = this.svg.getScreenCTM(), look = this.look;
    const screen = ([x, y]) => ({ x: m.a * x + m.e, y: m.d * y + m.f });
    const box = (node) => {
      const b = node.getBBox();
      return { ...screen([b.x, b.y]), width: b.width * m.a, height: b.height * m.d };
    };
    const placed = (node) => screen(node._transform.match(/-?[\d.]+/g).slice(-2).map(Number));
    const eyes = Object.fromEntries(SIDES.map(([name], i) => {
      const opening = box(this.eyes[i].opening), pupil = placed(this.eyes[i].pupil), [centre, right, above] = this.balls[i].map(screen);
      const [a, b] = [right.x - centre.x, centre.y - above.y];
      const angle = (v, r) => degrees(Math.asin(Math.min(1, Math.max(-1, v / r))));
      return [name, { opening: opening.height, box: opening, pupil, centre, brow: box(this.brows[i]), radius: look.eye.pupil * this.rigged.eyes[i].pupil * m.a,
        gaze: { x: angle(pupil.x - centre.x, a), y: angle(centre.y - pupil.y, b) } }];
    }));
    const { corners, mouth, outline, cheeks } = this, inner = box(mouth.inner), [pitch, yaw] = this.rigged.project.turns.map(degrees);
    return {
      head: { x: yaw, y: -pitch },
      eyes, outline: box(outline), plate: this.plate && box(this.plate), nose: this.nose ? placed(this.nose) : null,
      mouth: { left: screen(corners.left), right: screen(corners.right), opening: inner.height, width: inner.width, box: inner, teeth: Number(mouth.teeth._opacity) },
      cheeks: { left: Number(cheeks[0]._opacity), right: Number(cheeks[1]._opacity) },
    };
  }

  /** A PNG's or video's worth of the picture is in the DOM once this resolves. */
  static painted() {
    return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  }
}
