// A simple picture of a robot, made of the parts that its joints move. What it cannot move is pale, or not there.
// Axes as in rig.js: x to the viewer's right (the face's own left), y up, z towards the viewer.

import { add } from "./elements.js";
import { clamp, projector } from "./rig.js";

const HEAD = { style: { motion: 1, depth: 1 }, head: { width: 230, height: 210 } };
const STILL = { lean: 0, squash: 0 };
const SIDES = [["Left", 1], ["Right", -1]];

const f = (v) => v.toFixed(1);

/** A rounded box as a path: half width, half height, how square (2: ellipse). */
function box(w, h, power, y0 = 0) {
  const points = [];
  for (let i = 0; i < 64; i++) {
    const a = (i / 64) * 2 * Math.PI, c = Math.cos(a), s = Math.sin(a);
    points.push(`${f(w * Math.sign(c) * Math.abs(c) ** (2 / power))} ${f(y0 + h * Math.sign(s) * Math.abs(s) ** (2 / power))}`);
  }
  return "M" + points.join("L") + "Z";
}

export class Picture {
  constructor(svg) {
    this.svg = svg;
  }

  /** Build the picture for these joints: what parts there are. */
  build(joints) {
    this.svg.replaceChildren();
    const has = new Set(joints.flatMap((j) => j.parts.map(([part]) => part)));
    const any = (...stems) => stems.some((stem) => [...has].some((part) => part.startsWith(stem)));
    this.has = { lids: any("lid"), squint: any("squint"), gaze: any("gaze"), brows: any("brow"), cheeks: any("cheek"),
      antennas: any("antenna"), jaw: any("jaw"), mouth: any("corner", "stretch", "upperLip", "lowerLip", "round", "mouthX", "jaw"),
      neck: any("pitch", "yaw", "roll") || has.has("x") || has.has("y") || has.has("z") };
    this.neck = add(this.svg, "path", { class: "neck" + (this.has.neck ? " moves" : ""), "data-part": "pitch yaw roll x y z" });
    this.svg.setAttribute("viewBox", this.has.antennas ? "-360 -376 720 752" : "-340 -300 680 676");
    add(this.svg, "path", { class: "base", d: "M-150 372 C-150 312 -96 300 -58 296 L58 296 C96 300 150 312 150 372Z" });
    this.groups = [];
    const group = (x, y, z, part = "") => {
      const node = add(this.svg, "g", part ? { "data-part": part } : {});
      this.groups.push({ node, x, y, z });
      return node;
    };
    if (this.has.antennas) this.antennas = SIDES.map(([side, s]) => this.makeAntenna(group(s * 118, 196, -40, "antenna" + side)));
    add(group(0, 0, -60), "path", { class: "skull", d: box(246, 214, 3.2) });
    add(group(0, -4, 12), "path", { class: "plate", d: box(200, 170, 3.2) });
    if (this.has.jaw) this.jawPlate = add(group(0, -128, 40, "jaw"), "path", { class: "jaw", d: box(124, 62, 3.4) });
    this.cheeks = SIDES.map(([side, s]) => this.has.cheeks
      ? add(group(s * 150, -52, 60, "cheek" + side), "circle", { class: "cheek", r: 34 }) : null);
    this.eyes = SIDES.map(([side, s]) => this.makeEye(group(s * 86, 30, 70, `lid${side} squint${side} gazeX${side} gazeY${side}`), side));
    this.brows = SIDES.map(([side, s]) => this.has.brows
      ? add(group(s * 88, 104, 76, `browInner${side} browOuter${side}`), "path", { class: "brow" }) : null);
    const mouth = group(0, -104, 78, "cornerLeft cornerRight stretchLeft stretchRight upperLip lowerLip round jaw mouthX");
    this.mouth = add(mouth, "path", { class: this.has.mouth ? "mouth" : "mouth pale" });
    this.draw({});
  }

  makeEye(node, side) {
    const still = !this.has.lids && !this.has.gaze && !this.has.squint;
    const clip = add(add(node, "clipPath", { id: "robot-eye-" + side }), "circle", { r: 52 });
    add(node, "circle", { class: still ? "ball pale" : "ball", r: 52 });
    const inside = add(node, "g", { "clip-path": `url(#robot-eye-${side})` });
    const iris = add(inside, "g", { class: this.has.gaze ? "iris" : "iris pale" });
    add(iris, "circle", { class: "ring", r: 27 });
    add(iris, "circle", { class: "pupil", r: 14 });
    add(iris, "circle", { class: "shine", r: 5.5, cx: 8, cy: -9 });
    const upper = add(inside, "path", { class: this.has.lids ? "lid" : "lid none" });
    const lower = add(inside, "path", { class: this.has.lids || this.has.squint ? "lid" : "lid none" });
    add(node, "circle", { class: still ? "rim pale" : "rim", r: 52 });
    return { clip, iris, upper, lower, node };
  }

  makeAntenna(node) {
    const turn = add(node, "g");
    add(turn, "path", { class: "stalk", d: "M0 14 L0 -104" });
    add(turn, "circle", { class: "bulb", r: 17, cy: -112 });
    return turn;
  }

  /** Draw it with these amounts of its parts. */
  draw(parts) {
    const p = (name) => (Number.isFinite(parts[name]) ? parts[name] : 0);
    const project = projector({ headPitch: p("pitch"), headYaw: p("yaw"), headRoll: p("roll"),
      headX: p("x"), headY: p("y"), headZ: p("z") }, HEAD, STILL);
    for (const { node, x, y, z } of this.groups) {
      const c = project(x, y, z), ax = project(x + 1, y, z), ay = project(x, y - 1, z);
      const m = [ax[0] - c[0], ax[1] - c[1], ay[0] - c[0], ay[1] - c[1], c[0], c[1]];
      node.setAttribute("transform", `matrix(${m.map((v) => v.toFixed(4)).join(" ")})`);
    }
    const top = project(0, -170, -60);
    this.neck.setAttribute("d", `M0 318 Q0 250 ${f(top[0])} ${f(top[1])}`);
    this.eyes.forEach((eye, i) => this.drawEye(eye, SIDES[i][0], p));
    this.brows.forEach((brow, i) => brow && this.drawBrow(brow, SIDES[i], p));
    this.cheeks.forEach((cheek, i) => {
      if (!cheek) return;
      const amount = clamp(p("cheek" + SIDES[i][0]), 0, 1);
      cheek.setAttribute("opacity", f(0.2 + 0.8 * amount));
      cheek.setAttribute("r", f(32 + 12 * amount));
    });
    this.antennas?.forEach((turn, i) => {
      const [side, s] = SIDES[i], a = clamp(p("antenna" + side), -1.2, 1.2);
      turn.setAttribute("transform", `rotate(${f(s * (a > 0 ? 34 - 32 * a : 34 - 80 * a))})`);
    });
    if (this.jawPlate) this.jawPlate.setAttribute("transform", `translate(0 ${f(46 * clamp(p("jaw"), -0.2, 1.2))})`);
    this.drawMouth(p);
  }

  drawEye({ iris, upper, lower, node }, side, p) {
    const lid = clamp(p("lid" + side), -0.5, 1.05), raise = clamp(p("squint" + side), 0, 1);
    iris.setAttribute("transform", `translate(${f(26 * clamp(p("gazeX" + side), -1.2, 1.2))} ${f(-22 * clamp(p("gazeY" + side), -1.2, 1.2))})`);
    const open = this.has.lids ? 1 - lid : 1;
    const y1 = 12 - 56 * open, y0 = 12 + 40 * open - 26 * raise * Math.max(open, 0);
    const bend = 10 * open;
    upper.setAttribute("d", `M-60 -70 L60 -70 L60 ${f(y1 + bend)} Q0 ${f(y1 - bend)} -60 ${f(y1 + bend)}Z`);
    lower.setAttribute("d", `M-60 70 L60 70 L60 ${f(Math.max(y0, y1))} Q0 ${f(Math.max(y0, y1) + bend * 0.6)} -60 ${f(Math.max(y0, y1))}Z`);
    node.dataset.open = f(clamp(open, 0, 1.5) * 100);
  }

  drawBrow(brow, [side, s], p) {
    const inner = -30 * clamp(p("browInner" + side), -1.3, 1.3), outer = -28 * clamp(p("browOuter" + side), -1.3, 1.3);
    brow.setAttribute("d", `M${-s * 52} ${f(inner)} Q${s * 4} ${f((inner + outer) / 2 - 16)} ${s * 56} ${f(outer)}`);
  }

  drawMouth(p) {
    const round = clamp(p("round"), 0, 1), shift = 26 * clamp(p("mouthX"), -1, 1);
    const corner = (side, s) => [
      s * (72 + 20 * clamp(p("stretch" + side), -1.5, 1) + 10 * Math.max(0, p("corner" + side)) - 26 * round) + shift,
      -34 * clamp(p("corner" + side), -1.2, 1.2)];
    const [lx, ly] = corner("Left", 1), [rx, ry] = corner("Right", -1);
    const lift = (ly + ry) / 2, bow = -lift * 0.9; // corners up bend the middle down
    const upper = bow - 22 * clamp(p("upperLip"), -0.3, 1.5) - 10 * round;
    const lower = bow + 78 * clamp(p("jaw"), -0.2, 1.2) + 30 * clamp(p("lowerLip"), -0.3, 1.6) + 14 * round;
    const low = Math.max(lower, upper + 1);
    this.mouth.setAttribute("d", `M${f(rx)} ${f(ry)} Q${f(shift)} ${f(upper * 1.4)} ${f(lx)} ${f(ly)} Q${f(shift)} ${f(low * 1.4)} ${f(rx)} ${f(ry)}Z`);
  }

  /** Show which parts a joint moves; none: all as usual. */
  light(joint) {
    const parts = new Set((joint?.parts ?? []).map(([part]) => part));
    for (const node of this.svg.querySelectorAll("[data-part]")) {
      node.classList.toggle("lit", node.dataset.part.split(" ").some((part) => parts.has(part)));
    }
  }
}
