// Outlines from the rig: lists of points of the face, lifted onto its surface and projected. Pure functions, no DOM.

import { surface } from "./rig.js";

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

/** A superellipse around (x, y) on the face's surface or in the plane z, `n` points. */
export function ring(project, { x, y, w, h, power, z }, n = 36, bend = (px, py) => [px, py]) {
  const points = [];
  for (let i = 0; i < n; i++) {
    const angle = (2 * Math.PI * i) / n;
    const [px, py] = bend(x + w * superellipse(Math.cos(angle), power), y + h * superellipse(Math.sin(angle), power));
    points.push(project(px, py, z ?? surface(px, py)));
  }
  return points;
}

const EYE_STEPS = 22;

/** An eye's upper lid, the opening between the lids, and the lids' edges; x is outward on both sides. */
export function eyeShapes(project, eye, look) {
  const { a, b, side } = eye;
  const { x: cx, y: cy, power } = look.eye;
  const place = (x, y) => project(side * (cx + x), cy + y, surface(cx + x, cy + y));
  const top = [], bottom = [], lash = [], crease = [], ballTop = [];
  for (let i = 0; i <= EYE_STEPS; i++) {
    const x = -a * Math.cos((Math.PI * i) / EYE_STEPS);
    const u = x / a;
    const edge = b * Math.max(0, 1 - Math.abs(u) ** power) ** (1 / power);
    const upper = eye.upper.y + eye.upper.bend * u * u + eye.upper.tilt * u;
    const lower = eye.lower.y + eye.lower.bend * u * u;
    let y1 = Math.min(edge, upper), y0 = Math.max(-edge, lower);
    const seam = (upper + lower) / 2;
    const met = y1 < y0; // the lids meet here, at a corner perhaps outside of the ball
    if (met) y1 = y0 = Math.min(edge, Math.max(-edge, seam));
    top.push(place(x, y1));
    bottom.push(place(x, y0));
    if (Math.abs(u) < 0.985 && !(met && Math.abs(seam) > edge)) lash.push(place(x, y1));
    if (Math.abs(u) < 0.9 && lower > -edge && !met) crease.push(place(x, y0));
    ballTop.push(place(x, edge));
  }
  return {
    cover: polyline([...ballTop, ...[...top].reverse()]),
    opening: polyline([...top, ...[...bottom].reverse()]),
    upperEdge: lash.length > 1 ? polyline(lash, false) : "",
    lowerEdge: crease.length > 1 ? polyline(crease, false) : "",
  };
}

/** Affine matrix that draws a unit circle as the disc of radius `r`, turned with the eye on its ball. */
export function irisMatrix(project, eye, look, r) {
  const { x: cx, y: cy } = look.eye;
  const ox = eye.side * cx, base = surface(cx, cy);
  const [reachX, reachY] = [eye.a * 0.98, eye.b * 0.86];
  const dx = reachX * Math.sin(eye.yaw), dy = reachY * Math.sin(eye.pitch);
  const at = (x, y) => project(ox + dx + x, cy + dy + y, base + 6);
  const c = at(0, 0), px = at(r * Math.cos(eye.yaw), 0), py = at(0, -r * Math.cos(eye.pitch));
  return [px[0] - c[0], px[1] - c[1], py[0] - c[0], py[1] - c[1], c[0], c[1]];
}

/** A brow: a band around its spine, thick in the middle. */
export function browShape(project, brow, look) {
  const top = [], bottom = [];
  const n = brow.points.length - 1;
  brow.points.forEach(([x, y], i) => {
    const t = i / n;
    const half = (brow.width / 2) * (0.62 + 0.55 * Math.sin(Math.PI * (0.18 + 0.72 * t))) * (1 - 0.35 * t * t);
    const [ax, ay] = brow.points[Math.max(0, i - 1)], [bx, by] = brow.points[Math.min(n, i + 1)];
    const length = Math.hypot(bx - ax, by - ay) || 1;
    const [nx, ny] = [(-(by - ay) / length) * half, ((bx - ax) / length) * half];
    const place = (px, py) => {
      const [fx, fy] = [look.eye.x + px, look.eye.y + py];
      return project(brow.side * fx, fy, surface(fx, fy) + 10);
    };
    top.push(place(x + nx, y + ny));
    bottom.push(place(x - nx, y - ny));
  });
  return smooth([...top, ...bottom.reverse()]);
}

const MOUTH_STEPS = 20;

/** The mouth's outlines: lips outside, opening inside, teeth, tongue, the line between the lips, creases. */
export function mouthShapes(project, mouth, look) {
  const my = look.mouth.y;
  const upper = [], lower = [], outerTop = [], outerBottom = [], teeth = [], centre = [];
  let widest = 0;
  for (let i = 0; i <= MOUTH_STEPS; i++) {
    const angle = -Math.PI / 2 + (Math.PI * i) / MOUTH_STEPS;
    const s = Math.sin(angle); // -1 at the face's right corner, 1 at its left
    const left = (1 + Math.sin(angle)) / 2, right = 1 - left;
    const corner = s > 0 ? mouth.left : mouth.right;
    const x = s * corner.x + mouth.shift;
    const bow = s * s;
    const base = mouth.mid + (corner.y - mouth.mid) * bow;
    const round = Math.sqrt(Math.max(0, 1 - s * s));
    const flat = Math.max(0, 1 - Math.abs(s) ** 2.6);
    const swell = round ** (1 + 0.35 * (1 - mouth.round));
    const up = mouth.up.mid * round + (mouth.up.left * left + mouth.up.right * right) * flat;
    const down = mouth.down.mid * swell + (mouth.down.left * left + mouth.down.right * right) * flat;
    const skew = mouth.chin * round * Math.min(1, down / 40);
    const cupid = 1 - 0.3 * Math.exp(-((s / 0.16) ** 2)) * (1 - mouth.round);
    const z = surface(x, my) + mouth.z;
    widest = Math.max(widest, up + down);
    const place = (px, y, dz = 0) => project(px, my + y, z + dz);
    upper.push(place(x, base + up));
    lower.push(place(x + skew, base - down, mouth.lowerZ * round));
    outerTop.push(place(x, base + up + mouth.upperLip * cupid * (0.25 + round), 3));
    outerBottom.push(place(x + skew, base - down - mouth.lowerLip * (0.2 + round), 3 + mouth.lowerZ * round));
    teeth.push(place(x, base + up - 4 - (13 + 0.1 * down) * mouth.wide * Math.min(1, (up + down) / 26)));
    centre.push([x, base, up, down, z]);
  }
  const [cx, cb, , cd, cz] = centre[MOUTH_STEPS / 2];
  const half = Math.min(mouth.left.x, mouth.right.x);
  const ty = my + cb - cd - 6, tw = half * 0.62, th = Math.min(26 * mouth.wide, 8 + cd * 0.34);
  const tongue = ring(project, { x: cx + mouth.chin * 0.6, y: ty, w: tw, h: th, power: 2.2, z: cz - 10 }, 16);
  const out = mouth.tongue, drop = (18 + 52 * out) * mouth.wide;
  const tip = ring(project, { x: cx, y: my + cb - cd - drop / 2 + 10, w: Math.min(half * 0.7, 30 * mouth.wide), h: drop / 2 + 6,
    power: 2.6, z: cz + 14 + 16 * out }, 18);
  return {
    lips: smooth([...outerTop, ...outerBottom.reverse()]),
    inner: smooth([...upper, ...[...lower].reverse().slice(1, -1)]),
    teeth: polyline([...upper, ...teeth.reverse()]),
    tongue: smooth(tongue), tip: smooth(tip),
    corners: { left: upper[MOUTH_STEPS], right: upper[0] }, widest,
    dimples: [1, -1].map((side) => {
      const c = side > 0 ? mouth.left : mouth.right;
      const x = mouth.shift + side * (c.x + 13), y = my + c.y;
      const at = (dx, dy) => project(x + side * dx, y + dy, surface(x, y));
      return smooth([at(-3, 15), at(5, 2), at(-2, -13)], false);
    }),
    chin: smooth([-26, 0, 26].map((dx) => project(cx + dx, my + cb - cd - 34 + (dx ? -5 : 3), cz)), false),
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

/** The head's outline; it leans with the head and its chin follows the jaw. */
export function headShape(project, jaw, look) {
  const { w, h, power } = look.head;
  return smooth(ring(project, { x: 0, y: 0, w, h, power, z: 14 }, 40, jawBend(jaw, w, h)));
}

/** The face plate, on the face's surface. */
export function plateShape(project, jaw, look) {
  const { w, h } = look.plate;
  return smooth(ring(project, { x: 0, ...look.plate }, 40, jawBend({ ...jaw, puff: jaw.puff * 0.7 }, w, h)));
}
