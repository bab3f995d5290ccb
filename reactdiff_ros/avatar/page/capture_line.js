// The visitor's line to the server, off the page's thread: pictures become JPEG here, sound and clock pass the drawing by.

const PICTURE = 1, SOUND = 2, TIME = 3, HEAD_BYTES = 16;

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
    if (kind === PICTURE) postMessage({ acknowledged: true });
    if (kind === TIME) socket.send(message(TIME, 0, view.getUint32(4, true), wallClock()));
  };
}

/** `picture` (a VideoFrame or an ImageBitmap) was captured at `time`. */
async function show({ picture, time, quality }) {
  const width = picture.displayWidth ?? picture.width, height = picture.displayHeight ?? picture.height;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  context.drawImage(picture, 0, 0);
  picture.close();
  const content = await (await canvas.convertToBlob({ type: "image/jpeg", quality })).arrayBuffer();
  if (socket?.readyState !== WebSocket.OPEN) return;
  socket.send(message(PICTURE, 0, pictures++, time, content));
  postMessage({ sent: true });
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
  if (data.picture) show(data);
  if (data.port) hear(data);
};
