// The candidates of the newest plan: how each of them would smile, move its brows and nod. Only while it is looked at.

import { shape, words } from "./elements.js";

const WIDTH = 280;
const HEIGHT = 54;
const ROWS = [
  { key: "smile", title: "smile", low: 0, high: 1 },
  { key: "brow", title: "brows", low: -0.5, high: 1 },
  { key: "nod", title: "head down (degrees)", low: -6, high: 12 },
];
const LOST_MS = 2000;

const finite = (curve) => Array.isArray(curve) && curve.length > 1 && curve.every((v) => Number.isFinite(v));

function points(curve, { low, high }) {
  const across = WIDTH / (curve.length - 1);
  const up = (v) => HEIGHT - ((Math.min(high, Math.max(low, v)) - low) / (high - low)) * HEIGHT;
  return curve.map((v, i) => `${(i * across).toFixed(1)},${up(v).toFixed(1)}`).join(" ");
}

export class Candidates {
  /** `details`: the element that opens and closes; `onChange` is called when it does. */
  constructor(details, onChange) {
    this.details = details;
    this.note = details.querySelector("p");
    this.last = -Infinity;
    this.rows = ROWS.map((row) => {
      const svg = shape("svg", { viewBox: `0 -2 ${WIDTH} ${HEIGHT + 4}`, preserveAspectRatio: "none", role: "img", "aria-label": row.title });
      details.append(words("span", "", row.title), svg);
      return { ...row, svg };
    });
    details.addEventListener("toggle", () => {
      this.clear();
      onChange();
    });
  }

  get open() {
    return this.details.open;
  }

  clear() {
    this.last = -Infinity;
    for (const { svg } of this.rows) svg.replaceChildren();
    this.tell("");
  }

  tell(text) {
    if (this.note.textContent !== text) this.note.textContent = text;
  }

  /** Take a message {chosen, rate_hz, smile: [curve, ...], brow: ..., nod: ...}. */
  show(message, now) {
    if (!this.open) return;
    this.last = now;
    const count = Array.isArray(message.smile) ? message.smile.length : 0;
    const seconds = count && message.smile[0].length / message.rate_hz;
    this.tell(`${count} candidates, the next ${seconds.toFixed(2)} s; the thick one is shown`);
    for (const row of this.rows) {
      const curves = (message[row.key] ?? []).filter(finite);
      const zero = points([0, 0], row);
      const lines = curves.map((curve, i) => shape("polyline", { points: points(curve, row), class: i === message.chosen ? "chosen" : "other" }));
      lines.sort((a, b) => a.getAttribute("class") < b.getAttribute("class") ? 1 : -1); // the chosen one on top
      row.svg.replaceChildren(shape("polyline", { points: zero, class: "zero" }), ...lines);
    }
  }

  /** Say so when none come; `policy`: who listens. */
  watch(policy, now) {
    if (!this.open || now - this.last < LOST_MS) return;
    if (Number.isFinite(this.last)) this.clear();
    this.tell(policy === "model" || !policy ? "waiting for candidates" : `the policy ${policy} draws no candidates`);
  }
}
