// The robot's voice: sound from the server is played one piece after another, once this page was asked to.

const LEAD_S = 0.08; // sound waits for so long before it is played, so that a late piece leaves no gap
const MOST_S = 10; // of sound that waits
const HEAD_BYTES = 16;

/** { rate, channels, samples } of a message (see avatar/wire.py); null: it is none. */
export function sound(buffer) {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength < HEAD_BYTES) return null;
  const view = new DataView(buffer), channels = view.getUint8(1), rate = view.getUint32(4, true);
  if (view.getUint8(0) !== 3 || !channels || rate < 8000) return null;
  return { rate, channels, samples: new Int16Array(buffer, HEAD_BYTES) };
}

export class Voice {
  /** `onChange` is called when the page begins or ends to play. */
  constructor(button, onChange) {
    Object.assign(this, { button, onChange, context: null, next: 0, played: 0 });
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

  play({ rate, channels, samples }) {
    const { context } = this;
    const count = Math.floor(samples.length / channels);
    if (!context || !count || this.next - context.currentTime > MOST_S) return;
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
    this.next += buffer.duration;
    this.played += count / rate;
  }
}
