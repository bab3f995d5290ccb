// The page's line to the server: decodes frames, reconnects by itself, knows when the face's input is dead.

const MODES = ["listening", "idle", "neutral"];
const HEAD_BYTES = 48;
const RETRY_MS = [250, 500, 1000, 2000, 3000];

/** How often a second, from `marks` (in ms), which lose those from before the last two seconds. */
export function perSecond(marks, now) {
  while (marks.length && marks[0] < now - 2000) marks.shift();
  return marks.length < 2 ? 0 : ((marks.length - 1) * 1000) / (marks.at(-1) - marks[0]);
}

/** The address of a websocket of this page's server. */
export function lineTo(name) {
  const url = new URL(name, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.search = "";
  return url.href;
}

/** A frame of the wire format (see avatar/wire.py), or null if it is not one. */
export function decode(buffer) {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength !== HEAD_BYTES + 58 * 4) return null;
  const view = new DataView(buffer);
  if (view.getUint8(0) !== 1) return null;
  const stamp = (i) => view.getFloat64(8 + 8 * i, true);
  const values = new Float32Array(58);
  for (let i = 0; i < 58; i++) {
    const v = view.getFloat32(HEAD_BYTES + 4 * i, true);
    values[i] = Number.isFinite(v) ? v : 0;
  }
  return {
    face: view.getUint16(2, true), mode: MODES[view.getUint8(1)] ?? "neutral", number: view.getUint32(4, true), values,
    stamp: stamp(0), picture: stamp(1),
  };
}

export class Link {
  constructor({ onFrame, onStatus, onChange, onOther = () => {}, read = decode }) {
    Object.assign(this, { onFrame, onStatus, onChange, onOther, read });
    this.staleMs = 400;
    this.connected = false;
    this.reason = "connecting";
    this.attempts = 0;
    this.connections = 0;
    this.frames = 0;
    this.lastFrame = -Infinity;
    this.marks = [];
  }

  open() {
    const socket = new WebSocket(lineTo("ws"));
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    const patience = setTimeout(() => socket.close(), 5000);
    socket.onopen = () => {
      clearTimeout(patience);
      this.connected = true;
      this.connections += 1;
      this.reason = "no expression yet";
      this.onChange();
    };
    socket.onmessage = ({ data }) => {
      this.attempts = 0;
      if (typeof data === "string") return this.takeStatus(data);
      const frame = this.read(data);
      if (frame) this.takeFrame(frame);
      else this.onOther(data);
    };
    socket.onclose = ({ reason }) => {
      clearTimeout(patience);
      this.connected = false;
      this.reason = (reason || "no connection to the robot") + ", trying again";
      this.onChange();
      setTimeout(() => this.open(), RETRY_MS[Math.min(this.attempts++, RETRY_MS.length - 1)]);
    };
  }

  takeFrame(frame) {
    const now = performance.now();
    this.frames += 1;
    this.lastFrame = now;
    this.marks.push(now);
    while (this.marks[0] < now - 2000) this.marks.shift();
    this.onFrame(frame, now);
  }

  takeStatus(text) {
    try {
      this.onStatus(JSON.parse(text));
    } catch {
      // A garbled status changes nothing.
    }
  }

  /** Frames a second over the last two seconds. */
  rateAt(now) {
    return perSecond(this.marks, now);
  }

  /** Whether an expression came just now (the server says how long that is). */
  fresh(now) {
    return this.connected && now - this.lastFrame <= this.staleMs;
  }

  why(now) {
    if (!this.connected) return this.reason;
    if (this.fresh(now)) return "";
    return this.lastFrame === -Infinity ? "no expression yet" : "no expression for " + ((now - this.lastFrame) / 1000).toFixed(1) + " s";
  }

  /** Tell the server something; it has to have `fps`. */
  report(message) {
    if (this.connected && this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}
