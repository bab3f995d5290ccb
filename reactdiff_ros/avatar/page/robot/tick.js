// A tick of the preview as it comes over the websocket (see avatar/wire.py).

export const STATES = ["disarmed", "starting", "following", "returning", "lowering", "stopped"];
const HEAD = 24, FACE = 58;

/** The tick, or null if it is not one. */
export function decodeTick(buffer) {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength < HEAD + 4 * FACE) return null;
  const view = new DataView(buffer);
  const joints = view.getUint16(2, true);
  if (view.getUint8(0) !== 2 || buffer.byteLength !== HEAD + 4 * FACE + 9 * joints) return null;
  const floats = (offset, count) => Float32Array.from({ length: count }, (_, i) => view.getFloat32(offset + 4 * i, true));
  const first = HEAD + 4 * FACE;
  return {
    state: STATES[view.getUint8(1)] ?? "stopped", generation: view.getUint32(4, true), time: view.getFloat64(8, true),
    place: view.getFloat32(16, true), face: floats(HEAD, FACE), target: floats(first, joints),
    command: floats(first + 4 * joints, joints), limited: new Uint8Array(buffer, first + 8 * joints, joints),
  };
}

/** How much each part of the picture is moved: sums over the joints of gain times way from neutral. */
export function amounts(joints, command) {
  const out = {};
  joints.forEach((joint, i) => {
    for (const [part, gain] of joint.parts) out[part] = (out[part] ?? 0) + gain * (command[i] - joint.neutral);
  });
  return out;
}
