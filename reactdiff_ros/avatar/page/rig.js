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

export const clamp = (v, low, high) => Math.min(high, Math.max(low, v));
export const mix = (a, b, t) => a + (b - a) * t;
const METRE = 1500; // units a metre of head translation

/** The coefficient with index `i` of these, finite and bounded. */
export function bounded(values, i) {
  const v = Number.isFinite(values[i]) ? values[i] : 0, most = i < 52 ? 1 : i < 55 ? 0.8 : 0.2;
  return clamp(v, i < 52 ? 0 : -most, most);
}

/** Coefficients by name, finite and bounded: { mouthSmile: {left, right}, jawOpen, ... }. */
export function named(values) {
  const out = {};
  NAMES.forEach((name, i) => {
    const bound = bounded(values, i);
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

/** The angle by which the head is drawn turned: the far end of a turn would hide the face. */
const drawnTurn = (angle, look) => 0.62 * Math.tanh((angle * look.style.motion) / 0.62);

/** The head's pose as a function that projects a point of the head onto the screen (x right, y down). */
export function projector(k, look, live) {
  const turns = ["headPitch", "headYaw", "headRoll"].map((name) => drawnTurn(k[name], look));
  const r = rotation(...turns);
  const [px, py, pz] = [0, -look.head.height * 0.95, -90]; // the neck, about which the head turns
  const [tx, ty, tz] = [k.headX * METRE + live.lean, k.headY * METRE, k.headZ * METRE];
  const [sx, sy] = [1 - 0.5 * live.squash, 1 + live.squash];
  const camera = 1500;
  const project = (x, y, z) => {
    const [dx, dy, dz] = [(x - px) * sx, (y - py) * sy, z * look.style.depth - pz];
    const zz = r[6] * dx + r[7] * dy + r[8] * dz + pz + tz;
    const scale = camera / (camera - zz);
    return [
      (r[0] * dx + r[1] * dy + r[2] * dz + px + tx) * scale,
      -(r[3] * dx + r[4] * dy + r[5] * dz + py + ty) * scale,
    ];
  };
  return Object.assign(project, { turns });
}

/** How far the face's surface lies out of the head's middle plane at (x, y). */
export function surface(x, y) {
  return 112 * Math.sqrt(Math.max(0.06, 1 - (x / 300) ** 2 - (y / 270) ** 2));
}

/** Small movements are enlarged: a face is read from three metres. */
const shown = (v, gain = 1.5) => 1 - (1 - v) ** gain;
const both = (pair) => (pair.left + pair.right) / 2;

/** Surprise, 0 to 1: it rounds the mouth and makes iris and pupil small in wide eyes. */
function startle(k) {
  const wide = 0.9 * both(k.eyeWide) + 0.35 * k.browInnerUp + 0.25 * both(k.browOuterUp);
  return clamp(wide * Math.min(1, 4.5 * k.jawOpen) * (1 - 1.6 * both(k.mouthSmile)) * 1.2, 0, 1);
}

const EYE_YAW = 0.61, EYE_PITCH = 0.52; // rad at a coefficient of 1, as the expression room counts (eye_yaw_full_rad)
const VERGENCE = 0.04; // rad an eye: both look at someone near, not into the distance

function eyeRig(k, look, side, live) {
  const s = side > 0 ? "left" : "right";
  const e = look.eye;
  const blink = k.eyeBlink[s], squint = k.eyeSquint[s], wide = k.eyeWide[s], down = k.eyeLookDown[s], up = k.eyeLookUp[s];
  const brow = shown(k.browDown[s]), smile = shown(k.mouthSmile[s]), sneer = k.noseSneer[s];
  const raise = clamp(0.4 * squint + 0.55 * k.cheekSquint[s] + 0.34 * smile + 0.4 * sneer + 0.12 * brow, 0, 1);
  const worry = shown(k.browInnerUp) * (1 - wide) * (1 - 0.7 * k.browOuterUp[s]);
  // Openings above and below the line through the eye's corners, as shares of half of its height.
  const top = Math.max(0.12, e.rest + 0.3 * wide + 0.2 * up - 0.62 * down - 0.3 * squint - 0.1 * brow - 0.2 * sneer
    - 0.12 * k.mouthFrown[s] + 0.1 * k.browOuterUp[s] - 0.08 * worry);
  const low = 0.86 + 0.05 * down + 0.08 * wide - 1.34 * raise;
  const arc = mix(-0.24, 0.3, clamp(1.3 * raise - 0.1, 0, 1)); // of the closed lids: hanging, or pushed up by a smile
  const fear = startle(k);
  return {
    side, closed: blink, bag: clamp(raise * 1.3 - 0.1, 0, 1),
    a: e.width * (1 + 0.05 * wide + 0.05 * blink), b: e.height * (1 + 0.1 * wide),
    corner: mix(-0.2 * raise, -0.16, blink), top: mix(top, arc, blink), low: mix(low, -arc, blink),
    tilt: (0.95 * brow + 0.25 * sneer - 0.72 * worry - 0.3 * shown(k.mouthFrown[s]) * (1 - brow)) * (1 - blink),
    // Positive yaw: to the viewer's right. What the drawn head turns more or less than the head does, the eyes take back.
    yaw: EYE_YAW * side * (k.eyeLookOut[s] - k.eyeLookIn[s]) - side * VERGENCE + k.headYaw - drawnTurn(k.headYaw, look) + live.saccade[0],
    pitch: EYE_PITCH * (up - down) - k.headPitch + drawnTurn(k.headPitch, look) + live.saccade[1],
    iris: 1 - 0.12 * fear,
    pupil: (1.06 + 0.2 * wide + 0.16 * smile - 0.18 * brow - 0.2 * sneer - 0.1 * squint) * (1 - 0.34 * fear) * live.pupil,
  };
}

function browRig(k, look, side) {
  const s = side > 0 ? "left" : "right";
  const { y, reach, arch, rise, width } = look.brow;
  const down = shown(k.browDown[s]), inner = shown(k.browInnerUp, 1.7), outer = shown(k.browOuterUp[s]), sneer = k.noseSneer[s];
  const lift = 8 * k.eyeWide[s] - 6 * k.eyeBlink[s] - 5 * k.eyeSquint[s] - 4 * k.cheekSquint[s] + 5 * shown(k.mouthSmile[s]);
  const points = [];
  for (let i = 0; i <= 6; i++) {
    const t = i / 6; // 0 at the nose, 1 at the temple
    const x = mix(-reach * 0.86, reach, t) - (1 - t) * (14 * down - 3 * inner);
    const up = inner * (46 * (1 - t) ** 1.2 - 16 * t * (1 - outer)) + outer * 36 * (0.3 + 0.7 * t ** 0.7) * (1.1 - 0.3 * t)
      - down * 44 * (1 - 0.78 * t) - 8 * sneer * (1 - t) - 10 * shown(k.mouthFrown[s]) * t * t * (1 - down);
    points.push([x, look.eye.height + y + (arch + 9 * outer) * Math.sin(Math.PI * mix(0.1, 0.92, t)) - 10 * t * t + rise * up + lift]);
  }
  return { side, points, width: width * (1 + 0.15 * down) };
}

function mouthRig(k, look) {
  const m = look.mouth;
  const wide = m.width / 60;
  const shut = Math.min(k.mouthClose, k.jawOpen);
  const o = startle(k), jaw = k.jawOpen - shut; // what of the jaw's opening the lips let be seen
  const lips = Math.max(k.mouthPucker, k.mouthFunnel), round = Math.max(lips, o);
  const ring = Math.min(1, 2 * lips); // "o" and "u": half of the opening is above the corners, which no smile lifts
  const aside = shown(k.mouthLeft) - shown(k.mouthRight); // lips drawn to a side stand up there
  const corner = (s) => {
    const smile = shown(k.mouthSmile[s]), frown = shown(k.mouthFrown[s]), way = s === "left" ? aside : -aside;
    const dx = 32 * smile + 4 * frown + 28 * k.mouthStretch[s] + 13 * k.mouthDimple[s] - 5 * k.mouthPress[s] + 9 * k.noseSneer[s]
      + 4 * k.mouthUpperUp[s] - 36 * k.mouthPucker - 24 * k.mouthFunnel - 28 * o - 11 * jaw - 10 * k.cheekPuff - 10 * Math.abs(aside);
    const dy = 10.5 * (1 - ring) + 32 * smile - 40 * frown - 9 * k.mouthStretch[s] + 5 * k.mouthDimple[s] - 3 * k.mouthPress[s]
      - 9 * jaw - 13 * shut - 8 * o + 13 * way - 8 * k.noseSneer[s];
    return { x: Math.max(14, m.width + dx * wide), y: dy * wide,
      tick: clamp(1.1 * smile + k.mouthDimple[s] + 0.8 * Math.max(0, way), 0, 1) * (1 - round) };
  };
  const left = corner("left"), right = corner("right");
  const smile = shown(both(k.mouthSmile)), frown = shown(both(k.mouthFrown)), press = both(k.mouthPress);
  const seal = 1 - 0.8 * press;
  const mid = -11 * smile + 12 * frown + 13 * k.mouthShrugLower + 8 * k.mouthShrugUpper - 25 * shut + 4 * k.mouthPucker + 6 * o;
  const bite = k.mouthRollLower * Math.min(1, 12 * Math.max(k.mouthUpperUp.left, k.mouthUpperUp.right)); // "f": teeth on the lower lip
  const raise = 42 * jaw * ring;
  const lift = (s) => (17 * k.mouthUpperUp[s] + 14 * bite + 6 * k.noseSneer[s] * k.mouthUpperUp[s]) * seal * wide;
  return {
    left, right, round, mid: mid * wide, wide,
    shift: (36 * aside + 10 * (k.jawLeft - k.jawRight)) * wide, chin: 20 * (k.jawLeft - k.jawRight),
    wave: 8 * clamp(1.4 * both(k.noseSneer) - 0.35, 0, 1) * (1 - smile) * wide,
    up: { mid: (4 * jaw + raise + 15 * k.mouthFunnel + 5 * k.mouthPucker + 24 * o) * wide, left: lift("left"), right: lift("right") },
    down: { mid: (92 * jaw - raise + 17 * k.mouthFunnel + 5 * k.mouthPucker + 16 * o) * wide,
      left: 19 * k.mouthLowerDown.left * seal * wide, right: 19 * k.mouthLowerDown.right * seal * wide },
    line: m.line * (1 - 0.25 * Math.max(k.mouthRollLower, k.mouthRollUpper) + 0.3 * k.mouthPucker + 0.12 * press),
    roll: 5 * (k.mouthRollLower - k.mouthRollUpper),
    teeth: m.teeth ? 1 - clamp(1.6 * round, 0, 1) : 0, bite,
    z: 24 * k.mouthPucker + 14 * k.mouthFunnel, lowerZ: 26 * k.jawForward,
    tongue: k.tongueOut, chinCrease: clamp(k.mouthShrugLower * 0.9 + k.mouthRollLower * 0.4, 0, 1),
  };
}

function cheekRig(k, side) {
  const s = side > 0 ? "left" : "right";
  const smile = shown(k.mouthSmile[s]);
  return {
    side, blush: clamp(0.8 * smile + 0.4 * k.cheekSquint[s] + 0.35 * k.cheekPuff, 0, 1),
    lift: 18 * k.cheekSquint[s] + 12 * smile, size: 1 + 0.32 * k.cheekPuff + 0.1 * smile,
  };
}

/** Everything that is drawn for `k` (coefficients by name) in `look`; `live` is what life.js adds. */
export function rig(k, look, live) {
  return {
    project: projector(k, look, live),
    eyes: [1, -1].map((side) => eyeRig(k, look, side, live)),
    brows: [1, -1].map((side) => browRig(k, look, side)),
    cheeks: [1, -1].map((side) => cheekRig(k, side)),
    mouth: mouthRig(k, look),
    nose: { left: k.noseSneer.left, right: k.noseSneer.right },
    // The lower half of the head: the chin follows the jaw, the cheeks can puff.
    jaw: { drop: 34 * k.jawOpen + 3 * k.mouthShrugLower, shift: 16 * (k.jawLeft - k.jawRight), puff: 17 * k.cheekPuff },
  };
}
