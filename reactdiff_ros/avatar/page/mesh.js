// What the robot knows of a visitor's face, drawn on the visitor's own picture: a wire face at the place, with the pose
// and the expression that perception reports. Metres around the midpoint of the eyes, axes as in rig.js.

import { named, rotation } from "./rig.js";

const FOCAL = 1 / (2 * Math.tan(Math.PI / 6)); // in widths of the picture: perception's 60 degrees, until known otherwise
const HALF = [0.071, 0.1, 0.07], MIDDLE = [0, -0.022, -0.055]; // of the ellipsoid that carries the mesh
const [ROWS, COLUMNS, STEPS] = [7, 7, 20];
const UP = 62, ACROSS = 66; // degrees that the mesh covers from the middle of the face
const radians = (degrees) => (degrees * Math.PI) / 180;

/** A point of the ellipsoid; the jaw takes the lower part down. */
function skin(across, up, jaw) {
  const [a, u] = [radians(across * ACROSS), radians(up * UP)];
  return [MIDDLE[0] + HALF[0] * Math.sin(a) * Math.cos(u) * 1.1, MIDDLE[1] + HALF[1] * Math.sin(u) * 1.1 - 0.022 * jaw * Math.max(0, -up - 0.3),
    MIDDLE[2] + HALF[2] * Math.cos(a) * Math.cos(u)];
}

const curve = (count, point) => Array.from({ length: count + 1 }, (_, i) => point(i / count));
const both = (lines) => [1, -1].flatMap((side) => lines(side, side > 0 ? "left" : "right"));

/** The lines of a face (lists of points in m) from its 58 coefficients. */
export function wires(face) {
  const k = named(face), jaw = k.jawOpen, thin = [], bold = [];
  for (let i = 0; i < ROWS; i++) thin.push(curve(STEPS, (t) => skin(2 * t - 1, (2 * i) / (ROWS - 1) - 1, jaw)));
  for (let i = 0; i < COLUMNS; i++) thin.push(curve(STEPS, (t) => skin((2 * i) / (COLUMNS - 1) - 1, 2 * t - 1, jaw)));
  bold.push(...both((side, name) => {
    const open = 0.0055 * Math.max(0, 1 - k.eyeBlink[name]) * (1 - 0.4 * k.eyeSquint[name] + 0.5 * k.eyeWide[name]);
    const eye = curve(16, (t) => [side * 0.0315 + 0.0145 * Math.cos(2 * Math.PI * t), open * Math.sin(2 * Math.PI * t), 0]);
    const brow = curve(6, (t) => {
      const raised = (1 - t) * k.browInnerUp + t * k.browOuterUp[name] - (1 - 0.6 * t) * k.browDown[name];
      return [side * (0.012 + 0.036 * t), 0.019 + 0.004 * Math.sin(Math.PI * t) + 0.009 * raised, 0.006 - 0.014 * t * t];
    });
    return [eye, brow];
  }));
  bold.push([[0, 0, 0.008], [0, -0.018, 0.016], [0, -0.034, 0.024], [0, -0.041, 0.012]]); // nose
  const wide = 0.025 - 0.01 * Math.max(k.mouthPucker, k.mouthFunnel);
  const lip = (down) => curve(12, (t) => {
    const a = Math.PI * t, side = Math.cos(a), name = side > 0 ? "left" : "right", away = Math.abs(side);
    const corner = 0.011 * k.mouthSmile[name] - 0.008 * k.mouthFrown[name];
    const opening = down ? -0.004 - 0.026 * jaw * (1 - k.mouthClose) : 0.004;
    return [side * (wide + 0.006 * k.mouthSmile[name]), -0.068 + corner * away * away + opening * Math.sin(a), 0.01 - 0.012 * away * away];
  });
  bold.push(lip(false), lip(true));
  return { thin, bold, turn: rotation(k.headPitch, k.headYaw, k.headRoll) };
}

export class Mesh {
  /** `canvas` lies over `video` and is laid out as it is. */
  constructor(canvas, video) {
    Object.assign(this, { canvas, video, drawn: 0, pen: canvas.getContext("2d") });
  }

  clear() {
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** `place`: the midpoint of the eyes in m (x right, y down, z forward from the camera); null: no face. */
  show({ place, face }) {
    const width = 320, height = Math.round((width * this.video.videoHeight) / Math.max(1, this.video.videoWidth)) || 240;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.clear();
    if (!Array.isArray(place) || !place.every(Number.isFinite) || place[2] < 0.05 || !Array.isArray(face)) return;
    const { thin, bold, turn: r } = wires(face), scale = FOCAL * width;
    const onto = ([x, y, z]) => {
      const depth = place[2] - (r[6] * x + r[7] * y + r[8] * z);
      return [width / 2 + (scale * (place[0] + r[0] * x + r[1] * y + r[2] * z)) / depth,
        height / 2 + (scale * (place[1] - (r[3] * x + r[4] * y + r[5] * z))) / depth];
    };
    for (const [lines, style, thickness] of [[thin, "rgba(140, 255, 226, .38)", 1], [bold, "rgba(140, 255, 226, .95)", 2]]) {
      Object.assign(this.pen, { strokeStyle: style, lineWidth: thickness, lineJoin: "round" });
      this.pen.beginPath();
      for (const line of lines) line.map(onto).forEach(([x, y], i) => (i ? this.pen.lineTo(x, y) : this.pen.moveTo(x, y)));
      this.pen.stroke();
    }
    this.drawn += 1;
  }
}
