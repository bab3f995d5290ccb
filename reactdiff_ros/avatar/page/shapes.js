// Outlines from the rig: lists of points of the face, lifted onto its surface and projected. Pure functions, no DOM.

import { clamp, mix, surface } from "./rig.js";

const f = (v) => Math.round(v * 10) / 10;

/** Path through straight pieces; fine where the points lie close. */
export function polyline(points, closed = true) {
  let d = "M";
  for (const [x, y] of points) d += f(x) + " " + f(y) + " ";
  return closed ? d + "Z" : d;
}

/** Smooth path through the points (Catmull-Rom as Bezier curves). */
export function smooth(points, closed = true) {
  const n = points.length;
  const at = (i) => (closed ? points[(i + n) % n] : points[Math.min(n - 1, Math.max(0, i))]);
  let d = `M${f(points[0][0])} ${f(points[0][1])}`;
  for (let i = 0; i < (closed ? n : n - 1); i++) {
    const [p0, p1, p2, p3] = [at(i - 1), at(i), at(i + 1), at(i + 2)];
    d += `C${f(p1[0] + (p2[0] - p0[0]) / 6)} ${f(p1[1] + (p2[1] - p0[1]) / 6)} `
      + `${f(p2[0] - (p3[0] - p1[0]) / 6)} ${f(p2[1] - (p3[1] - p1[1]) / 6)} ${f(p2[0])} ${f(p2[1])}`;
  }
  return closed ? d + "Z" : d;
}

const superellipse = (t, power) => Math.sign(t) * Math.abs(t) ** (2 / power);
/** Half of a superellipse's height at `u`, -1 to 1 of its width. */
const dome = (u, power) => Math.max(0, 1 - Math.abs(u) ** power) ** (1 / power);
/** The smaller of the two, without an edge where they cross. */
function softMin(a, b, soft) {
  const h = clamp(0.5 + (b - a) / (2 * soft), 0, 1);
  return mix(b, a, h) - soft * h * (1 - h);
}

/** A superellipse around (x, y) on the face's surface or in the plane z, `n` points. */
export function ring(project, { x = 0, y = 0, width, height, power, z }, n = 36, bend = (px, py) => [px, py]) {
  const points = [];
  for (let i = 0; i < n; i++) {
    const angle = (2 * Math.PI * i) / n;
    const [px, py] = bend(x + width * superellipse(Math.cos(angle), power), y + height * superellipse(Math.sin(angle), power));
    points.push(project(px, py, z ?? surface(px, py)));
  }
  return points;
}

const EYE_STEPS = 24;

/** Half the width and height of the ball on which an iris, or in a look without pupils an eye, moves. */
export const ballRadii = (eye, look) => (look.eye.pupil ? [eye.a * 0.98, eye.b * 0.86] : [0.8 * eye.a, 0.7 * eye.b]);

/** Where an eye is: all of it follows the gaze in a look without pupils. */
function eyeCentre(eye, look) {
  const { x, y, pupil } = look.eye, [a, b] = ballRadii(eye, look);
  return pupil ? [eye.side * x, y] : [eye.side * x + a * Math.sin(eye.yaw + eye.side * 0.04), y + b * Math.sin(eye.pitch)];
}

/** An eye's opening between two curved lids from corner to corner, how far it is open (2 is round), the lids' lines and shadow. */
export function eyeShapes(project, eye, look) {
  const { a, b, side, tilt } = eye;
  const [cx, cy] = eyeCentre(eye, look);
  const place = (u, y) => project(cx + side * a * u, cy + y, surface(cx + side * a * u, cy + y));
  // A lid that lies nearly flat is an arc, not a half of the ball.
  const lid = (u, amount) => amount * mix(1 - u * u, dome(u, look.eye.power), clamp((amount - 0.3) * 2.2, 0, 1));
  const top = [], bottom = [], lash = [], crease = [], bag = [], shade = [];
  let open = 0;
  for (let i = 0; i <= EYE_STEPS; i++) {
    const u = -Math.cos((Math.PI * i) / EYE_STEPS); // -1 at the nose, 1 at the temple
    const slant = eye.top * (1.05 - 0.3 * Math.abs(tilt)) + 0.55 * tilt * u + 1.5 * (1 - Math.min(1, 5 * Math.abs(tilt)));
    const down = b * (eye.corner - lid(u, eye.low));
    const up = Math.max(down, b * (eye.corner + (tilt ? softMin(lid(u, eye.top), slant, 0.2) : lid(u, eye.top))));
    open = Math.max(open, (up - down) / b);
    top.push(place(u, up));
    bottom.push(place(u, down));
    if (up - down > 0.12 * b || eye.closed > 0.6) lash.push(place(u, up));
    shade.push(place(u, up - 0.3 * b * dome(u, 2)));
    if (Math.abs(u) < 0.86) crease.push(place(u * 1.02, up + b * (0.13 + 0.1 * dome(u, 2))));
    if (Math.abs(u) < 0.72) bag.push(place(u, down - b * 0.17));
  }
  return {
    opening: polyline([...top, ...[...bottom].reverse()]),
    upperEdge: lash.length > 1 ? polyline(lash, false) : "",
    shade: polyline([...top, ...shade.reverse()]),
    crease: polyline(crease, false), bag: polyline(bag, false),
    centre: project(cx, cy, surface(cx, cy) + 6), open,
  };
}

/** Affine matrix that draws a unit circle as the disc of radius `r`, turned with the eye on its ball. */
export function irisMatrix(project, eye, look, r) {
  const { x: cx, y: cy } = look.eye;
  const ox = eye.side * cx, base = surface(cx, cy);
  const [a, b] = ballRadii(eye, look), [dx, dy] = [a * Math.sin(eye.yaw), b * Math.sin(eye.pitch)];
  const at = (x, y) => project(ox + dx + x, cy + dy + y, base + 6);
  const c = at(0, 0), px = at(r * Math.cos(eye.yaw), 0), py = at(0, -r * Math.cos(eye.pitch));
  return [px[0] - c[0], px[1] - c[1], py[0] - c[0], py[1] - c[1], c[0], c[1]];
}

/** A brow: a band around its spine, thick in the middle; it stays on the plate, or on the head. */
export function browShape(project, brow, look) {
  const area = look.plate.show ? look.plate : { ...look.head, y: 0 };
  const roof = (x) => area.y + area.height * dome(Math.min(1, Math.abs(x) / area.width), area.power);
  const limit = (x) => (look.plate.show || look.head.show ? roof(x) : look.frame.y + look.frame.height / 2 - 40) - brow.width / 2 - 7;
  const spine = brow.points.map(([px, py]) => {
    const [x, y] = [look.eye.x + px, look.eye.y + py];
    return [x, softMin(y, limit(x), 8)];
  });
  const top = [], bottom = [];
  const n = spine.length - 1;
  spine.forEach(([x, y], i) => {
    const t = i / n;
    const half = (brow.width / 2) * (0.5 + 0.62 * Math.sin(Math.PI * (0.18 + 0.72 * t))) * (1 - 0.35 * t * t);
    const [ax, ay] = spine[Math.max(0, i - 1)], [bx, by] = spine[Math.min(n, i + 1)];
    const length = Math.hypot(bx - ax, by - ay) || 1;
    const [nx, ny] = [(-(by - ay) / length) * half, ((bx - ax) / length) * half];
    const place = (px, py) => project(brow.side * px, py, surface(px, py) + 10);
    top.push(place(x + nx, y + ny));
    bottom.push(place(x - nx, y - ny));
  });
  return smooth([...top, ...bottom.reverse()]);
}

const MOUTH_STEPS = 22;

/** The mouth's outlines: opening, teeth, tongue, ticks at the corners, the crease of the chin. */
export function mouthShapes(project, mouth, look) {
  const my = look.mouth.y;
  const upper = [], lower = [], teeth = [];
  let widest = 0, bottom = 0;
  for (let i = 0; i <= MOUTH_STEPS; i++) {
    const s = Math.sin(-Math.PI / 2 + (Math.PI * i) / MOUTH_STEPS); // -1 at the face's right corner, 1 at its left
    const left = (1 + s) / 2, right = 1 - left;
    const corner = s > 0 ? mouth.left : mouth.right;
    const x = s * corner.x + mouth.shift;
    const base = mouth.mid + (corner.y - mouth.mid) * s * s + mouth.wave * Math.sin(1.7 * Math.PI * (s + 0.15));
    const open = dome(s, 2), flat = Math.max(0, 1 - Math.abs(s) ** 2.6);
    const up = mouth.up.mid * open + (mouth.up.left * left + mouth.up.right * right) * flat;
    const down = mouth.down.mid * open ** (1.25 - 0.25 * mouth.round) + (mouth.down.left * left + mouth.down.right * right) * flat;
    const skew = mouth.chin * open * Math.min(1, down / 40);
    const z = surface(x, my) + mouth.z;
    widest = Math.max(widest, up + down);
    bottom = Math.min(bottom, base - down);
    const place = (px, y, dz = 0) => project(px, my + y + mouth.roll * open, z + dz);
    upper.push(place(x, base + up));
    lower.push(place(x + skew, base - down, mouth.lowerZ * open));
    teeth.push(place(x, base + up - (12 + 0.1 * down) * mouth.wide * open ** 0.3));
  }
  const half = Math.min(mouth.left.x, mouth.right.x), cx = mouth.shift + mouth.chin * 0.6, z = surface(0, my) + mouth.z;
  const out = mouth.tongue, drop = 70 * out ** 1.3 * mouth.wide;
  const tick = (side) => {
    const c = side > 0 ? mouth.left : mouth.right;
    const x = mouth.shift + side * c.x, y = my + c.y, r = 12 * c.tick * Math.sqrt(mouth.wide);
    const at = (dx, dy) => project(x + side * dx, y + dy, surface(x, y));
    return smooth([at(-r * 0.2, r * 1.1), at(r * 0.25, 0), at(-r * 0.25, -r)], false);
  };
  return {
    inner: smooth([...upper, ...[...lower].reverse().slice(1, -1)]),
    teeth: polyline([...upper, ...teeth.reverse()]),
    tongue: smooth(ring(project, { x: cx, y: my + bottom - 4, width: half * 0.6, height: Math.min(30 * mouth.wide, 6 + widest * 0.3), power: 2.2, z: z - 10 }, 16)),
    tip: smooth(ring(project, { x: cx, y: my + bottom - drop / 2 + 8, width: Math.min(half * 0.7, 30 * mouth.wide), height: drop / 2 + 6,
      power: 2.6, z: z + 14 + 16 * out }, 18)),
    ticks: [tick(1), tick(-1)],
    corners: { left: upper[MOUTH_STEPS], right: upper[0] }, widest,
    chin: smooth([-24, 0, 24].map((dx) => project(cx + dx, my + bottom - 24 + (dx ? -5 : 2), z)), false),
  };
}

/** How the jaw and puffed cheeks move the lower half of an outline of half-size (w, h). */
function jawBend(jaw, w, h) {
  return (x, y) => {
    const low = Math.max(0, -y / h);
    const puff = jaw.puff * Math.exp(-(((y / h + 0.34) / 0.5) ** 2)) * Math.sign(x) * Math.min(1, Math.abs(x) / (0.6 * w));
    return [x * (1 - 0.05 * low * low) + puff + jaw.shift * low * low, y - jaw.drop * low * low];
  };
}

/** The head's outline, in its middle plane; its chin follows the jaw. */
export function headShape(project, jaw, { head }) {
  return smooth(ring(project, { ...head, z: 14 }, 40, jawBend(jaw, head.width, head.height)));
}

/** The face plate or the muzzle, on the face's surface. */
export function plateShape(project, jaw, area, power = area.power) {
  return smooth(ring(project, { ...area, power }, 40, jawBend({ ...jaw, puff: jaw.puff * 0.7 }, area.width, area.height)));
}
