// What the page adds to the 58 numbers: springs, small eye movements, pupils that are never still, and how the face
// shows what the robot does or lacks. All of it follows from the seed, the time and what was drawn before, so that
// the same pictures drawn in the same order are the same.

import { clamp, mix } from "./rig.js";

const STEP_S = 1 / 240;
const PAUSE_S = 0.5; // after a longer one springs begin at rest
const EASE_S = 0.25; // of a mood
const SACCADE_S = 0.9, SACCADE_RAD = 0.006;

/** What the robot does or lacks, each 0 to 1; `level` is the voice that is heard. */
export const MOODS = ["asleep", "searching", "squinting", "deaf", "hearing", "thinking", "speaking", "level"];

/** A second-order system that follows its input; `response` below 0 moves the other way first: anticipation. */
class Spring {
  constructor(frequency, damping, response = 0) {
    const w = 2 * Math.PI * frequency;
    Object.assign(this, { stiff: w * w, damp: 2 * damping * w, lead: response * damping / (Math.PI * frequency) * w * w });
  }

  rest(x) {
    Object.assign(this, { x, y: x, v: 0 });
  }

  /** On to input `x` within `dt`, in `n` steps; how far it is behind the input then. */
  step(x, dt, n) {
    const from = this.x, speed = dt > 0 ? (x - from) / dt : 0;
    for (let i = 1; i <= n; i++) {
      const h = dt / n, at = from + (x - from) * (i / n);
      this.v += h * (this.stiff * (at - this.y) - this.damp * this.v + this.lead * speed);
      this.y += h * this.v;
    }
    this.x = x;
    return this.y - x;
  }
}

/** A number from 0 to 1 that `seed` and `n` always give. */
export function chance(seed, n) {
  const v = Math.sin(n * 127.1 + seed * 311.7) * 43758.5453;
  return v - Math.floor(v);
}

/** Where the eyes are between two jumps, -1 to 1: a new place about every `period`, reached within `move` seconds. */
function jumps(seed, time, period, move) {
  const n = Math.floor(time / period);
  const place = (i) => 2 * chance(seed, i) - 1;
  const onset = (n + 0.7 * chance(seed + 7, n)) * period;
  return mix(place(n - 1), place(n), clamp((time - onset) / move, 0, 1));
}

export class Life {
  constructor(seed = 1) {
    this.seed = seed;
    this.springs = {
      squash: new Spring(3.2, 0.5, -0.9), lean: new Spring(2.6, 0.6, -0.7), swing: new Spring(4.2, 0.16), bob: new Spring(4.6, 0.2),
      plateX: new Spring(9, 0.5), plateY: new Spring(9, 0.5), cheeks: new Spring(9, 0.3),
    };
    this.mood = Object.fromEntries(MOODS.map((name) => [name, 0]));
    this.time = -Infinity;
  }

  /** Changes coefficients `k` (by name) as the moods ask, and returns what else the rig needs. */
  step(k, time, mood = {}) {
    const dt = time - this.time, fresh = !(dt > 0 && dt <= PAUSE_S);
    for (const name of MOODS) {
      const to = clamp(Number(mood[name]) || 0, 0, 1);
      this.mood[name] = fresh ? to : mix(this.mood[name], to, 1 - Math.exp(-dt / (name === "level" ? 0.08 : EASE_S)));
    }
    act(k, this.mood, this.seed, time);
    const pair = (p) => (p.left + p.right) / 2;
    const stretch = 0.5 * (k.browInnerUp + pair(k.browOuterUp) + pair(k.eyeWide)) + k.jawOpen - 0.7 * pair(k.browDown) - 0.5 * pair(k.eyeBlink);
    const inputs = { squash: 0.018 * stretch, lean: k.headYaw, swing: k.headYaw - k.headRoll + 3 * k.headX, bob: k.headPitch - 3 * k.headY,
      plateX: k.headYaw, plateY: k.headPitch, cheeks: k.headPitch - 0.12 * pair(k.mouthSmile) };
    const behind = {};
    for (const [name, spring] of Object.entries(this.springs)) {
      if (fresh) spring.rest(inputs[name]);
      behind[name] = spring.step(inputs[name], fresh ? 0 : dt, fresh ? 0 : Math.ceil(dt / STEP_S));
    }
    this.time = time;
    const wave = (hertz, phase) => Math.sin(2 * Math.PI * (hertz * time + chance(this.seed, phase)));
    return {
      mood: this.mood, time, squash: inputs.squash + behind.squash, lean: clamp(60 * behind.lean, -24, 24),
      antenna: [clamp(150 * behind.swing, -46, 46), clamp(70 * behind.bob, -16, 16)],
      plate: [clamp(36 * behind.plateX, -7, 7), clamp(36 * behind.plateY, -7, 7)], cheeks: clamp(60 * behind.cheeks, -8, 8),
      pupil: 1 + 0.018 * wave(0.23, 1) + 0.012 * wave(0.61, 2) + 0.05 * this.mood.hearing,
      saccade: [1, 2].map((i) => SACCADE_RAD * jumps(this.seed * 10 + i, time, SACCADE_S, 0.03)),
    };
  }
}

/** Show the moods with the face. */
function act(k, { asleep, searching, squinting, deaf, thinking }, seed, time) {
  const most = (pair, v) => { pair.left = Math.max(pair.left, v); pair.right = Math.max(pair.right, v); };
  if (asleep > 0.001) {
    const breath = Math.sin(2 * Math.PI * 0.22 * time);
    most(k.eyeBlink, asleep);
    for (const name of ["browDown", "mouthSmile", "mouthFrown", "eyeWide"]) for (const s of ["left", "right"]) k[name][s] *= 1 - asleep;
    for (const name of ["browInnerUp", "jawOpen"]) k[name] *= 1 - asleep;
    most(k.browDown, 0.12 * asleep);
    k.headPitch = mix(k.headPitch, 0.16 + 0.025 * breath, asleep);
    k.headRoll = mix(k.headRoll, 0.1, asleep);
  }
  if (searching > 0.001) {
    const x = 0.75 * searching * jumps(seed + 31, time, 1.7, 0.12), y = 0.2 * searching * jumps(seed + 37, time, 1.7, 0.12);
    k.eyeLookOut.left += Math.max(0, x); k.eyeLookIn.right += Math.max(0, x);
    k.eyeLookIn.left += Math.max(0, -x); k.eyeLookOut.right += Math.max(0, -x);
    k.eyeLookUp.left += Math.max(0, y); k.eyeLookUp.right += Math.max(0, y);
    k.headYaw += 0.22 * searching * jumps(seed + 31, time - 0.1, 1.7, 0.5);
    k.browInnerUp = Math.max(k.browInnerUp, 0.2 * searching);
    most(k.browOuterUp, 0.25 * searching);
  }
  if (squinting > 0.001) {
    most(k.eyeSquint, 0.95 * squinting);
    most(k.cheekSquint, 0.45 * squinting);
    most(k.browDown, 0.35 * squinting);
    k.headZ += 0.04 * squinting;
    k.headPitch -= 0.05 * squinting;
  }
  if (deaf > 0.001) {
    k.headRoll += 0.11 * deaf;
    k.headYaw += 0.16 * deaf;
    k.browOuterUp.right = Math.max(k.browOuterUp.right, 0.5 * deaf);
    k.browInnerUp = Math.max(k.browInnerUp, 0.25 * deaf);
  }
  if (thinking > 0.001) {
    most(k.eyeLookUp, 0.55 * thinking);
    k.eyeLookOut.left = Math.max(k.eyeLookOut.left, 0.45 * thinking);
    k.eyeLookIn.right = Math.max(k.eyeLookIn.right, 0.45 * thinking);
    k.mouthLeft = Math.max(k.mouthLeft, 0.25 * thinking);
    most(k.mouthPress, 0.3 * thinking);
    k.browOuterUp.left = Math.max(k.browOuterUp.left, 0.35 * thinking);
  }
}
