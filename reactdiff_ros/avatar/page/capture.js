// The visitor's own camera and microphone for the robot: JPEG and int16 over a websocket (see capture/browser.py).
// Two pictures at most are on their way: a slow line loses pictures, it does not delay them.

const PICTURE = 1, SOUND = 2, TIME = 3, HEAD_BYTES = 16;
const IN_FLIGHT = 2, SHARP = 0.8, COARSE = 0.6;
const CROWDED = 0.3, CALM_S = 5; // share of pictures dropped that makes them coarser and fewer; for so long at least

const wallClock = () => performance.timeOrigin + performance.now();

/** One message: its head, then `content` (an ArrayBuffer). */
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

/** Why the browser gives no camera, and what to do about it. */
export function sentenceOf(error) {
  const sentences = {
    NotAllowedError: "The camera is not allowed for this page: allow it next to the address, then press again.",
    NotFoundError: "This computer has no camera.",
    NotReadableError: "The camera is in use by another program: close it, then press again.",
    OverconstrainedError: "This camera cannot give such pictures: choose another in the browser's settings.",
  };
  return sentences[error?.name] ?? `The camera cannot be opened (${error?.message || error}).`;
}

/** Why this address gives no camera; empty: it does. */
export function insecure() {
  if (navigator.mediaDevices?.getUserMedia) return "";
  const port = location.port || "80", own = `localhost:${port}`;
  return `Browsers give no camera to ${location.origin}. Have the robot started with --https, or first run `
    + `ssh -L ${port}:127.0.0.1:${port} ${location.hostname} here and open ${own}.`;
}

export class Capture {
  /** `onChange()` is called when `state` ("off", "asking", "live") or `sentence` changes; `video` shows what is sent. */
  constructor(video, onChange) {
    Object.assign(this, { video, onChange, state: "off", sentence: "", counts: { sent: 0, dropped: 0, sounds: 0 } });
    document.addEventListener("visibilitychange", () => this.visibility());
  }

  set(state, sentence = "") {
    Object.assign(this, { state, sentence });
    this.onChange();
  }

  /** Ask for the devices and begin; a sentence says what prevents it. */
  async start() {
    if (this.state !== "off") return;
    const wrong = insecure();
    if (wrong) return this.set("off", wrong);
    this.set("asking");
    try {
      this.media = await this.open();
    } catch (error) {
      return this.set("off", sentenceOf(error));
    }
    for (const track of this.media.getTracks()) track.onended = () => this.stop("The camera or the microphone was unplugged.");
    this.video.srcObject = this.media;
    this.connect();
    await this.video.play().catch(() => {});
    this.watch();
    await this.listen().catch(() => {});
    this.lock = await navigator.wakeLock?.request("screen").catch(() => null);
  }

  /** Camera and microphone; without a microphone the camera alone. */
  async open() {
    const video = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 }, facingMode: "user" };
    const audio = { echoCancellation: { ideal: "all" }, noiseSuppression: false, autoGainControl: false };
    try {
      return await navigator.mediaDevices.getUserMedia({ video, audio });
    } catch (error) {
      if (error.name !== "NotFoundError" && error.name !== "NotReadableError") throw error;
      return navigator.mediaDevices.getUserMedia({ video });
    }
  }

  connect() {
    const url = new URL("capture", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    url.search = "";
    const socket = (this.socket = new WebSocket(url));
    socket.binaryType = "arraybuffer";
    this.flying = 0;
    socket.onmessage = ({ data }) => this.take(data);
    socket.onclose = ({ reason }) => {
      if (socket === this.socket) this.stop(this.last || reason || "The connection to the robot was lost: press again.");
    };
  }

  take(data) {
    if (typeof data === "string") {
      const { seat, sentence } = JSON.parse(data);
      if (seat) this.set("live");
      this.last = sentence;
      return;
    }
    const view = new DataView(data), kind = view.getUint8(1), number = view.getUint32(4, true);
    if (kind === PICTURE) this.flying = Math.max(0, this.flying - 1);
    if (kind === TIME) this.socket.send(message(TIME, 0, number, wallClock()));
  }

  /** Send each new picture of the camera while fewer than two are on their way. */
  watch() {
    const canvas = document.createElement("canvas"), context = canvas.getContext("2d", { willReadFrequently: true });
    let number = 0, dropped = 0, since = performance.now(), coarse = false, odd = false;
    const next = () => this.video.requestVideoFrameCallback(each);
    const each = (now, frame) => {
      if (this.state === "off") return;
      next();
      if (this.state !== "live" || (coarse && (odd = !odd))) return;
      const full = this.flying >= IN_FLIGHT;
      dropped += full;
      if (now - since > CALM_S * 1000) {
        coarse = dropped / Math.max(1, ((now - since) / 1000) * 30) > CROWDED;
        [dropped, since] = [0, now];
      }
      this.counts.dropped += full;
      if (full) return;
      this.flying += 1;
      const time = performance.timeOrigin + (frame.captureTime ?? frame.presentationTime ?? now), socket = this.socket;
      if (canvas.width !== frame.width || canvas.height !== frame.height) Object.assign(canvas, { width: frame.width, height: frame.height });
      context.drawImage(this.video, 0, 0);
      canvas.toBlob(async (blob) => {
        const content = blob && await blob.arrayBuffer();
        if (!content || socket.readyState !== WebSocket.OPEN) return;
        socket.send(message(PICTURE, 0, number++, time, content));
        this.counts.sent += 1;
      }, "image/jpeg", coarse ? COARSE : SHARP);
    };
    next();
  }

  /** Send the sound in chunks of 20 ms, at the browser's own rate. */
  async listen() {
    if (!this.media.getAudioTracks().length) return;
    const context = (this.sound = new AudioContext());
    await context.audioWorklet.addModule("capture_sound.js");
    const latency = (this.media.getAudioTracks()[0].getSettings().latency ?? 0) * 1000;
    const chunks = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    let number = 0;
    chunks.port.onmessage = ({ data }) => {
      number += 1;
      if (this.state !== "live" || this.socket.readyState !== WebSocket.OPEN) return;
      const began = wallClock() - latency - (1000 * data.byteLength) / 2 / context.sampleRate;
      this.socket.send(message(SOUND, context.sampleRate, number, began, data));
      this.counts.sounds += 1;
    };
    context.createMediaStreamSource(this.media).connect(chunks);
    await context.resume();
  }

  /** End it; the devices' lights go out. */
  stop(sentence = "") {
    if (this.state === "off") return;
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.media?.getTracks().forEach((track) => { track.onended = null; track.stop(); });
    this.sound?.close();
    this.lock?.release();
    this.video.srcObject = null;
    Object.assign(this, { media: null, sound: null, lock: null, last: "" });
    this.set("off", sentence);
  }

  /** A page that is not seen sends nothing; it goes on when it is seen again. */
  visibility() {
    if (document.hidden && this.state === "live") {
      this.paused = true;
      this.stop("Paused: this page was hidden.");
    } else if (!document.hidden && this.paused) {
      this.paused = false;
      this.start();
    }
  }
}
