// Expressions by name, for pages that show them side by side and for tests: what is not named is 0.

import { NAMES } from "./rig.js";

const two = (values) => Object.fromEntries(Object.entries(values).flatMap(([name, v]) => [[name + "Left", v], [name + "Right", v]]));

export const EXPRESSIONS = {
  neutral: {},
  "small smile": two({ mouthSmile: 0.35, cheekSquint: 0.12 }),
  laugh: { jawOpen: 0.5, ...two({ mouthSmile: 0.9, cheekSquint: 0.75, eyeSquint: 0.3, mouthUpperUp: 0.25 }), headPitch: -0.06 },
  sad: { browInnerUp: 0.75, mouthShrugLower: 0.3, headPitch: 0.12, ...two({ mouthFrown: 0.65, eyeLookDown: 0.25 }) },
  angry: { ...two({ browDown: 0.9, eyeSquint: 0.3, mouthFrown: 0.35, mouthPress: 0.4, noseSneer: 0.15 }), headPitch: 0.07 },
  surprised: { browInnerUp: 0.8, jawOpen: 0.3, ...two({ browOuterUp: 0.8, eyeWide: 0.75 }), headPitch: -0.04 },
  concerned: { browInnerUp: 0.6, headRoll: 0.12, headPitch: 0.04, ...two({ browDown: 0.15, mouthPress: 0.3, mouthFrown: 0.12 }) },
  puzzled: { browDownLeft: 0.55, browOuterUpRight: 0.75, eyeSquintLeft: 0.35, headRoll: 0.15, mouthPressLeft: 0.5, mouthPressRight: 0.5, mouthFrownLeft: 0.3 },
  disgusted: { ...two({ noseSneer: 0.85, browDown: 0.45, cheekSquint: 0.45, eyeSquint: 0.35, mouthUpperUp: 0.35, mouthFrown: 0.35 }),
    mouthShrugLower: 0.3, headYaw: 0.12, headRoll: -0.06 },
  asleep: {},
};

/** The 58 numbers of coefficients by name. */
export function vector(coefficients) {
  return NAMES.map((name) => coefficients[name] ?? 0);
}

/** What the robot does or lacks while it shows that expression (see life.js). */
export const moodOf = (name) => (name === "asleep" ? { asleep: 1 } : {});
