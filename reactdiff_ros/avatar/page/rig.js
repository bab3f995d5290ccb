// The rig: 58 coefficients and a look in, the numbers of the drawing out. Pure functions, no DOM.
// Axes: x to the viewer's right (the face's own left), y up, z towards the viewer; units of the drawing.
// "Left" and "Right" are the face's own, so side +1 is left and lies at the viewer's right.

export const NAMES = [
  "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
  "cheekPuff", "cheekSquintLeft", "cheekSquintRight",
  "eyeBlinkLeft", "eyeBlinkRight",
  "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
  "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
  "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight",
  "jawForward", "jawLeft", "jawOpen", "jawRight",
  "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
  "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
  "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
  "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight",
  "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
  "headPitch", "headYaw", "headRoll", "headX", "headY", "headZ",
];

const clamp = (v, low, high) => Math.min(high, Math.max(low, v));
const mix = (a, b, t) => a + (b - a) * t;
const METRE = 1500; // units a metre of head translation

/** Coefficients by name, finite and bounded: { mouthSmile: {left, right}, jawOpen, ... }. */
export function named(values) {
  const out = {};
  NAMES.forEach((name, i) => {
    const v = Number.isFinite(values[i]) ? values[i] : 0;
    const bound = i < 52 ? clamp(v, 0, 1) : clamp(v, i < 55 ? -0.8 : -0.2, i < 55 ? 0.8 : 0.2);
    const side = name.endsWith("Left") ? "left" : name.endsWith("Right") ? "right" : "";
    const stem = name.slice(0, name.length - side.length);
    if (side && stem !== "jaw" && stem !== "mouth") (out[stem] ??= {})[side] = bound;
    else out[name] = bound;
  });
  return out;
}

/** Rotation matrix (row-major) of ARKit's angles: roll about z, then pitch about x, then yaw about y. */
export function rotation(pitch, yaw, roll) {
  const [cp, sp, cy, sy, cr, sr] = [
    Math.cos(pitch), Math.sin(pitch), Math.cos(yaw), Math.sin(yaw), Math.cos(roll), Math.sin(roll),
  ];
  return [
    cy * cr + sy * sp * sr, -cy * sr + sy * sp * cr, sy * cp,
    cp * sr, cp * cr, -sp,
    -sy * cr + cy * sp * sr, sy * sr + cy * sp * cr, cy * cp,
  ];
}

/** The head's pose as a function that projects a point of the head onto the screen (x right, y down). */
export function projector(k, look) {
  const turn = (angle) => 0.62 * Math.tanh((angle * look.motion) / 0.62); // the far end of a turn would hide the face
  const r = rotation(turn(k.headPitch), turn(k.headYaw), turn(k.headRoll));
  const [px, py, pz] = [0, -look.head.h * 0.95, -90]; // the neck, about which the head turns
  const [tx, ty, tz] = [k.headX * METRE, k.headY * METRE, k.headZ * METRE];
  const camera = 1500;
  return (x, y, z) => {
    const [dx, dy, dz] = [x - px, y - py, z * look.depth - pz];
    const zz = r[6] * dx + r[7] * dy + r[8] * dz + pz + tz;
    const scale = camera / (camera - zz);
    return [
      (r[0] * dx + r[1] * dy + r[2] * dz + px + tx) * scale,
      -(r[3] * dx + r[4] * dy + r[5] * dz + py + ty) * scale,
    ];
  };
}

/** How far the face's surface lies out of the head's middle plane at (x, y). */
export function surface(x, y) {
  return 112 * Math.sqrt(Math.max(0.06, 1 - (x / 300) ** 2 - (y / 270) ** 2));
}

function eyeRig(k, look, side) {
  const s = side > 0 ? "left" : "right";
  const grow = 1 + 0.07 * k.eyeWide[s];
  const a = look.eye.a * grow, b = look.eye.b * grow;
  const blink = k.eyeBlink[s], squint = k.eyeSquint[s], wide = k.eyeWide[s], cheek = k.cheekSquint[s];
  const smile = k.mouthSmile[s], down = k.eyeLookDown[s], up = k.eyeLookUp[s], sneer = k.noseSneer[s];
  const raise = Math.min(1, 0.5 * squint + 0.75 * cheek + 0.32 * smile + 0.25 * sneer);
  const closeY = b * mix(-0.34, 0.02, raise);
  const openUp = b * (look.eye.rest + 0.24 * wide + 0.08 * up - 0.42 * down - 0.3 * squint - 0.16 * k.browDown[s]);
  const openLow = -b * mix(1.04, 0.34, raise);
  const closeBend = mix(0.26, -0.34, raise);
  return {
    side, a, b,
    upper: { y: mix(openUp, closeY, blink), bend: mix(-0.3, closeBend, blink * blink) * b,
      tilt: (0.2 * k.browDown[s] - 0.16 * k.browInnerUp - 0.04 * k.mouthFrown[s]) * b * (1 - blink) },
    lower: { y: mix(openLow, closeY, blink), bend: mix(mix(0.1, -0.3, raise), closeBend, blink) * b },
    closed: blink, bag: clamp(raise * 1.1 - 0.08, 0, 1),
    // Positive yaw: to the viewer's right. An eye turns by about 30 degrees at most.
    yaw: 0.56 * side * (k.eyeLookOut[s] - k.eyeLookIn[s]), pitch: 0.5 * (up - down),
    pupil: 1 + 0.1 * wide - 0.1 * squint,
  };
}

function browRig(k, look, side) {
  const s = side > 0 ? "left" : "right";
  const { y, reach, arch, rise } = look.brow;
  const down = k.browDown[s], inner = k.browInnerUp, outer = k.browOuterUp[s], sneer = k.noseSneer[s];
  const lift = 9 * k.eyeWide[s] - 5 * k.eyeBlink[s] - 5 * k.eyeSquint[s] - 4 * k.cheekSquint[s];
  const points = [];
  for (let i = 0; i <= 6; i++) {
    const t = i / 6; // 0 at the nose, 1 at the temple
    const x = mix(-reach * 0.86, reach, t) - (1 - t) * (13 * down - 5 * inner);
    const up = 34 * inner * (1 - t) ** 1.4 - 8 * inner * t + 32 * outer * t ** 0.8 * (1.15 - 0.35 * t)
      - 36 * down * (1 - 0.62 * t) - 9 * sneer * (1 - t);
    points.push([x, look.eye.b + y + arch * Math.sin(Math.PI * mix(0.1, 0.92, t)) - 10 * t * t + rise * up + lift]);
  }
  return { side, points, width: look.brow.width * (1 + 0.12 * down) };
}

function mouthRig(k, look) {
  const m = look.mouth;
  const wide = m.w / 60;
  const shut = Math.min(k.mouthClose, k.jawOpen);
  const corner = (s) => {
    const smile = k.mouthSmile[s], frown = k.mouthFrown[s];
    const dx = 36 * smile + 4 * frown + 30 * k.mouthStretch[s] + 14 * k.mouthDimple[s] + 5 * k.mouthPress[s]
      + 4 * k.mouthUpperUp[s] - 36 * k.mouthPucker - 26 * k.mouthFunnel - 13 * k.jawOpen - 10 * k.cheekPuff;
    const dy = 9 + 36 * smile - 44 * frown - 9 * k.mouthStretch[s] + 5 * k.mouthDimple[s] + 3 * k.mouthPress[s]
      - 9 * k.jawOpen - 13 * shut;
    return { x: Math.max(15, m.w + dx * wide), y: dy * wide };
  };
  const left = corner("left"), right = corner("right");
  const both = (pair) => (pair.left + pair.right) / 2;
  const shift = 30 * (k.mouthLeft - k.mouthRight) + 10 * (k.jawLeft - k.jawRight);
  const chin = 20 * (k.jawLeft - k.jawRight);
  const jaw = k.jawOpen - shut; // what of the jaw's opening the lips let be seen
  const mid = -7 * both(k.mouthSmile) + 10 * both(k.mouthFrown) + 13 * k.mouthShrugLower + 8 * k.mouthShrugUpper
    - 25 * shut + 4 * k.mouthPucker + 3;
  const seal = 1 - 0.8 * Math.max(both(k.mouthPress), 0);
  return {
    left, right, shift, chin, wide, mid: mid * wide,
    round: Math.max(k.mouthPucker, k.mouthFunnel),
    up: { mid: (5 * jaw + 15 * k.mouthFunnel + 2.5 * k.mouthPucker) * wide,
      left: 17 * k.mouthUpperUp.left * seal * wide, right: 17 * k.mouthUpperUp.right * seal * wide },
    down: { mid: (92 * jaw + 17 * k.mouthFunnel + 2.5 * k.mouthPucker) * wide,
      left: 19 * k.mouthLowerDown.left * seal * wide, right: 19 * k.mouthLowerDown.right * seal * wide },
    upperLip: Math.max(0.5, m.upper * (1 + 1.3 * k.mouthPucker + 0.9 * k.mouthFunnel + 0.5 * k.mouthShrugUpper
      - 0.95 * k.mouthRollUpper - 0.6 * both(k.mouthPress))),
    lowerLip: Math.max(0.5, m.lower * (1 + 1.1 * k.mouthPucker + 0.8 * k.mouthFunnel + 0.9 * k.mouthShrugLower
      + 0.5 * k.jawForward - 0.95 * k.mouthRollLower - 0.6 * both(k.mouthPress))),
    line: m.line * (1 - 0.45 * Math.max(k.mouthRollLower, k.mouthRollUpper) * 0.6 - 0.25 * both(k.mouthPress)),
    toothless: clamp(1.3 * k.mouthFunnel + k.mouthPucker - k.jawOpen, 0, 1),
    z: 24 * k.mouthPucker + 14 * k.mouthFunnel, lowerZ: 26 * k.jawForward,
    tongue: k.tongueOut,
    dimple: { left: dimple(k, "left"), right: dimple(k, "right") },
    chinCrease: clamp(k.mouthShrugLower * 0.9 + k.mouthRollLower * 0.4, 0, 1),
  };
}

function dimple(k, s) {
  return clamp(0.75 * k.mouthSmile[s] + k.mouthDimple[s] + 0.8 * k.mouthPress[s] + 0.5 * k.mouthStretch[s], 0, 1);
}

function cheekRig(k, side) {
  const s = side > 0 ? "left" : "right";
  return {
    side, blush: clamp(0.9 * k.mouthSmile[s] + 0.4 * k.cheekSquint[s] + 0.35 * k.cheekPuff, 0, 1),
    lift: 20 * k.cheekSquint[s] + 15 * k.mouthSmile[s], size: 1 + 0.32 * k.cheekPuff + 0.08 * k.mouthSmile[s],
  };
}

/** Everything that is drawn for `values` (58 numbers) in `look`. */
export function rig(values, look) {
  const k = named(values);
  return {
    k,
    project: projector(k, look),
    eyes: [eyeRig(k, look, 1), eyeRig(k, look, -1)],
    brows: [browRig(k, look, 1), browRig(k, look, -1)],
    cheeks: [cheekRig(k, 1), cheekRig(k, -1)],
    mouth: mouthRig(k, look),
    nose: { left: k.noseSneer.left, right: k.noseSneer.right },
    // The lower half of the head: the chin follows the jaw, the cheeks can puff.
    jaw: { drop: 34 * k.jawOpen + 3 * k.mouthShrugLower, shift: 16 * (k.jawLeft - k.jawRight), puff: 17 * k.cheekPuff,
      forward: 6 * k.jawForward },
  };
}
