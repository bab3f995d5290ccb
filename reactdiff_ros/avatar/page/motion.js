// From frames at 50 a second to pictures at the display's rate: glide to the newest frame within one frame's time.

const GLIDE_MS = 20;
const CALM_MS = 350; // to neutral, when the input is dead

export class Motion {
  constructor() {
    this.shown = new Float32Array(58);
    this.from = new Float32Array(58);
    this.to = new Float32Array(58);
    this.start = 0;
    this.span = 1;
    this.calm = true;
    this.settled = false;
  }

  aim(values, now, span) {
    this.at(now);
    this.from.set(this.shown);
    this.to.set(values);
    this.start = now;
    this.span = span;
    this.settled = false;
  }

  frame(values, now) {
    this.calm = false;
    this.aim(values, now, GLIDE_MS);
  }

  /** The input is dead: ease to neutral, once. */
  neutral(now) {
    if (this.calm) return;
    this.calm = true;
    this.aim(new Float32Array(58), now, CALM_MS);
  }

  /** Bring `shown`, the coefficients, to `now`. */
  at(now) {
    if (this.settled) return;
    const t = Math.min(1, Math.max(0, (now - this.start) / this.span));
    const ease = this.calm ? t * t * (3 - 2 * t) : t;
    for (let i = 0; i < 58; i++) this.shown[i] = this.from[i] + (this.to[i] - this.from[i]) * ease;
    this.settled = t === 1;
  }
}
