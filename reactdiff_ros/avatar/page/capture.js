// The visitor's own camera and microphone for the robot; what is seen and heard goes to the line (capture_line.js).

import { lineTo } from "./link.js";

const CLOCK_MS = 1000; // between two reports of a picture's capture time to the line

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

/** Why this page cannot have the camera; empty: it can. */
export function hindrance() {
  if (navigator.mediaDevices?.getUserMedia) {
    const able = globalThis.OffscreenCanvas && "requestVideoFrameCallback" in HTMLVideoElement.prototype;
    return able ? "" : "This browser is too old to share its camera: update it, or take another one.";
  }
  const port = location.port || "80", own = `localhost:${port}`;
  return `Browsers give no camera to ${location.origin}. Have the robot started with --https, or first run `
    + `ssh -L ${port}:127.0.0.1:${port} ${location.hostname} here and open ${own}.`;
}

/** `before`: how many come first, who is seen now among them. */
export function waitingSentence(before) {
  const when = before === 1 ? "you are next" : `${before - 1} more before you`;
  return `Another visitor's camera is in use, ${when}. Nothing of yours is sent yet.`;
}

/** What is worth knowing of a visit that goes on: a slow line, a clock that is off. */
function noteOf({ slow, ahead }) {
  if (slow) return "The network is slow: fewer and coarser pictures are sent.";
  if (Math.abs(ahead) < 1) return "";
  return `This device's clock is ${Math.abs(ahead).toFixed(0)} s ${ahead > 0 ? "ahead of" : "behind"} the robot's; that is taken into account.`;
}

export class Capture {
  /** `onChange()` is called when `state` ("off", "asking", "waiting", "live") or `sentence` changes; `video` shows what is sent. */
  constructor(video, onChange) {
    Object.assign(this, { video, onChange, state: "off", sentence: "", counts: { sent: 0, dropped: 0, sounds: 0 } });
    document.addEventListener("visibilitychange", () => this.visibility());
  }

  set(state, sentence = "") {
    Object.assign(this, { state, sentence });
    this.onChange();
  }

  note(news) {
    Object.assign(this.notes, news);
    if (this.state === "live") this.set("live", noteOf(this.notes));
  }

  /** Ask for the devices and begin; a sentence says what prevents it. */
  async start() {
    if (this.state !== "off") return;
    const wrong = hindrance();
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
    this.notes = { slow: false, ahead: 0 };
    this.line = new Worker("capture_line.js", { type: "module" });
    this.line.onmessage = ({ data }) => this.take(data);
    this.line.onerror = () => this.stop("A part of this page is missing: reload it.");
    this.line.postMessage({ url: lineTo("capture") });
  }

  /** What the line reports. */
  take({ said, sent, dropped, heard, slow, closed }) {
    if (said?.seat) this.set("live");
    if (said?.ahead_s !== undefined) this.note({ ahead: said.ahead_s });
    if (said?.waiting) this.set("waiting", waitingSentence(said.waiting));
    if (said?.sentence) this.last = said.sentence;
    if (slow !== undefined) this.note({ slow });
    if (sent) this.counts.sent += 1;
    if (dropped) this.counts.dropped += 1;
    if (heard) this.counts.sounds += 1;
    if (closed !== undefined) this.stop(this.last || closed || "The connection to the robot was lost: press again.");
  }

  /** Give the line each picture: from the camera's track where the browser can, which waits for no drawing, else as the page shows it. */
  watch() {
    const line = this.line, direct = "MediaStreamTrackProcessor" in globalThis;
    if (direct) {
      const { readable } = new MediaStreamTrackProcessor({ track: this.media.getVideoTracks()[0], maxBufferSize: 1 });
      line.postMessage({ readable }, [readable]);
    }
    const next = () => this.line === line && this.video.requestVideoFrameCallback(each);
    const each = async (now, { captureTime, presentationTime }) => {
      const captured = performance.timeOrigin + (captureTime ?? presentationTime ?? now);
      if (direct) {
        if (captureTime !== undefined) line.postMessage({ captured });
        return setTimeout(next, CLOCK_MS);
      }
      next();
      const picture = globalThis.VideoFrame ? new VideoFrame(this.video) : await createImageBitmap(this.video);
      line.postMessage({ picture, captured }, [picture]);
    };
    next();
  }

  /** Send the sound in chunks of 20 ms, at the browser's own rate. */
  async listen() {
    const [track] = this.media.getAudioTracks();
    if (!track) return;
    const context = (this.sound = new AudioContext());
    await context.audioWorklet.addModule("capture_sound.js");
    const { port } = this.chunks = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    const latency = (track.getSettings().latency ?? 0) * 1000;
    this.line.postMessage({ port, rate: context.sampleRate, latency }, [port]);
    const source = context.createMediaStreamSource(this.media);
    this.ear = new AnalyserNode(context, { fftSize: 16384 });
    source.connect(this.chunks);
    source.connect(this.ear);
    await context.resume();
  }

  /** The loudest of the last third of a second in dB of full scale; -100: silence, or no microphone. */
  loudness() {
    if (!this.ear) return -100;
    const samples = new Float32Array(this.ear.fftSize);
    this.ear.getFloatTimeDomainData(samples);
    return Math.max(-100, 20 * Math.log10(samples.reduce((most, v) => Math.max(most, Math.abs(v)), 0)));
  }

  /** End it; the devices' lights go out. */
  stop(sentence = "") {
    if (this.state === "off") return;
    this.line?.terminate();
    this.media?.getTracks().forEach((track) => { track.onended = null; track.stop(); });
    this.sound?.close();
    this.video.srcObject = null;
    Object.assign(this, { line: null, media: null, sound: null, chunks: null, ear: null, last: "" });
    this.set("off", sentence);
  }

  /** A page that is not seen sends nothing; it goes on when it is seen again. */
  visibility() {
    if (document.hidden && (this.state === "live" || this.state === "waiting")) {
      this.paused = true;
      this.stop("Paused: this page was hidden.");
    } else if (!document.hidden && this.paused) {
      this.paused = false;
      this.start();
    }
  }
}
