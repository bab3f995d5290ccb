// The visitor's line to the server, off the page's thread: pictures become JPEG here, sound and clock pass the drawing by.
// Two pictures at most are on their way: a slow line loses pictures, it does not delay them.

const PICTURE = 1, SOUND = 2, TIME = 3, HEAD_BYTES = 16;
const IN_FLIGHT = 2, SHARP = 0.8, COARSE = 0.6;
const CROWDED = 0.3, CALM_MS = 5000; // share of pictures dropped that makes them coarser and fewer, for at least this long
const REMEMBERED = 30, TOLERANCE_MS = 1; // pictures whose arrival is kept; what clocks are read apart by

const wallClock = () => performance.timeOrigin + performance.now();
let socket = null, live = false, pictures = 0, chunks = 0;
const canvas = new OffscreenCanvas(1, 1), context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });

/** One message: its head (see capture/browser.py), then `content` (an ArrayBuffer). */
function message(kind, rate, number, time, content = new ArrayBuffer(0)) {
  const whole = new Uint8Array(HEAD_BYTES + content.byteLength), view = new DataView(whole.buffer);
  view.setUint8(0, 1);
  view.setUint8(1, kind);
  view.setUint16(2, rate / 25, true);
  view.setUint32(4, number, true);
  view.setFloat64(8, time, true);
  whole.set(new Uint8Array(content), HEAD_BYTES);
  return whole;
}

function open(url) {
  socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  socket.onclose = ({ reason }) => postMessage({ closed: reason });
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") {
      const said = JSON.parse(data);
      live ||= said.seat === true;
      return postMessage({ said });
    }
    const view = new DataView(data), kind = view.getUint8(1);
    if (kind === PICTURE) flow.acknowledged();
    if (kind === TIME) socket.send(message(TIME, 0, view.getUint32(4, true), wallClock()));
  };
}

/** Which pictures are sent, and how sharp. */
class Flow {
  flying = 0;
  coarse = false;
  seen = 0;
  dropped = 0;
  since = performance.now();

  /** Whether a picture is sent now. */
  begins() {
    const now = performance.now();
    if (now - this.since > CALM_MS) {
      const coarse = this.dropped > CROWDED * this.seen;
      if (coarse !== this.coarse) postMessage({ slow: (this.coarse = coarse) });
      [this.seen, this.dropped, this.since] = [0, 0, now];
    }
    this.seen += 1;
    if (this.coarse && this.seen % 2) return false;
    const full = this.flying >= IN_FLIGHT;
    if (full) postMessage({ dropped: true });
    this.dropped += full;
    this.flying += !full;
    return !full;
  }

  acknowledged() {
    this.flying = Math.max(0, this.flying - 1);
  }
}

/** The clock of a camera's track: its timestamps have an unknown zero. */
class TrackClock {
  arrivals = []; // [timestamp, arrival] in ms
  zero = -Infinity;

  /** A picture with this timestamp arrives now; when it was captured on the page's clock. */
  arrived(timestamp) {
    this.arrivals = [...this.arrivals.slice(1 - REMEMBERED), [timestamp, wallClock()]];
    return timestamp + Math.min(this.floor(), Number.isFinite(this.zero) ? this.zero : Infinity);
  }

  /** The latest zero with which no picture has arrived before it was captured. */
  floor() {
    return Math.min(...this.arrivals.map(([timestamp, arrival]) => arrival - timestamp));
  }

  /** One of the newest pictures was captured at this time: the one with which the zero is latest and possible. */
  captured(time) {
    const possible = this.arrivals.map(([timestamp]) => time - timestamp).filter((zero) => zero <= this.floor() + TOLERANCE_MS);
    if (possible.length) this.zero = Math.max(...possible);
  }
}

const flow = new Flow(), clock = new TrackClock();

/** `picture` (a VideoFrame or an ImageBitmap) was captured at `time`. */
async function show(picture, time) {
  if (!live || socket?.readyState !== WebSocket.OPEN || !flow.begins()) return picture.close();
  const width = picture.displayWidth ?? picture.width, height = picture.displayHeight ?? picture.height;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  context.drawImage(picture, 0, 0);
  picture.close();
  const quality = flow.coarse ? COARSE : SHARP;
  const content = await (await canvas.convertToBlob({ type: "image/jpeg", quality })).arrayBuffer();
  if (socket.readyState !== WebSocket.OPEN) return;
  socket.send(message(PICTURE, 0, pictures++, time, content));
  postMessage({ sent: true });
}

/** Pictures of the camera's track as they come. */
async function watch(readable) {
  const reader = readable.getReader();
  for (let { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
    show(value, clock.arrived(value.timestamp / 1000));
  }
}

/** Chunks of 20 ms come through `port`, `latency` ms after they were heard. */
function hear({ port, rate, latency }) {
  port.onmessage = ({ data }) => {
    chunks += 1;
    if (!live || socket?.readyState !== WebSocket.OPEN) return;
    const began = wallClock() - latency - (1000 * data.byteLength) / 2 / rate;
    socket.send(message(SOUND, rate, chunks, began, data));
    postMessage({ heard: true });
  };
}

onmessage = ({ data }) => {
  if (data.url) open(data.url);
  if (data.readable) watch(data.readable);
  if (data.picture) show(data.picture, data.captured);
  else if (data.captured) clock.captured(data.captured);
  if (data.port) hear(data);
};
