// The robot's voice: sound from the server is played one piece after another, once this page was asked to.

const LEAD_S = 0.08; // sound waits for this long before it is played, so that a late piece leaves no gap
const MOST_S = 10; // of sound that waits
const HEAD_BYTES = 16;

/** { rate, channels, stamp, samples } of a message (see avatar/wire.py); null: it is none. */
export function sound(buffer) {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength < HEAD_BYTES) return null;
  const view = new DataView(buffer), channels = view.getUint8(1), rate = view.getUint32(4, true);
  if (view.getUint8(0) !== 3 || !channels || rate < 8000) return null;
  return { rate, channels, stamp: view.getFloat64(8, true), samples: new Int16Array(buffer, HEAD_BYTES) };
}

export class Voice {
  /** `onChange` is called when the page begins or ends to play. */
  constructor(button, onChange) {
    Object.assign(this, { button, onChange, context: null, next: 0, played: 0, waiting: [] });
    button.addEventListener("click", () => (this.on ? this.stop() : this.start()));
    this.show(false);
  }

  get on() {
    return this.context !== null;
  }

  /** Browsers allow sound only after the visitor has pressed something. */
  start() {
    if (this.on) return;
    this.context = new AudioContext();
    this.context.resume();
    this.next = 0;
    this.waiting = [];
    this.changed();
  }

  stop() {
    this.context?.close();
    this.context = null;
    this.changed();
  }

  changed() {
    this.show(this.spoken);
    this.onChange();
  }

  /** `spoken`: the robot has a voice. */
  show(spoken) {
    this.spoken = Boolean(spoken);
    this.button.hidden = !this.spoken && !this.on;
    const label = this.on ? "Mute the robot" : "Hear the robot";
    this.button.title = label;
    this.button.setAttribute("aria-label", label);
    this.button.setAttribute("aria-pressed", String(this.on));
  }

  /** Sound with a stamp that waits already takes the place of all that waits from there on: a voice that stops. */
  replace(stamp) {
    const { context } = this;
    this.waiting = this.waiting.filter((piece) => piece.at + piece.length > context.currentTime);
    const from = this.waiting.findIndex((piece) => piece.stamp >= stamp);
    if (!(stamp > 0) || from < 0) return;
    this.next = Math.max(this.waiting[from].at, context.currentTime);
    for (const { source, length } of this.waiting.splice(from)) {
      source.stop();
      this.played -= length;
    }
  }

  play({ rate, channels, stamp, samples }) {
    const { context } = this;
    const count = Math.floor(samples.length / channels);
    if (!context || !count || this.next - context.currentTime > MOST_S) return;
    this.replace(stamp);
    const buffer = context.createBuffer(channels, count, rate);
    for (let c = 0; c < channels; c++) {
      const out = buffer.getChannelData(c);
      for (let i = 0; i < count; i++) out[i] = samples[i * channels + c] / 32768;
    }
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(context.destination);
    this.next = this.next > context.currentTime ? this.next : context.currentTime + LEAD_S;
    source.start(this.next);
    this.waiting.push({ source, stamp, at: this.next, length: buffer.duration });
    this.next += buffer.duration;
    this.played += count / rate;
  }
}
