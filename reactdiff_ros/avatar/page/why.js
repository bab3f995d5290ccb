// Why the face does what it does: the plan, and what it would be without one cue. Only while it is looked at.

import { make } from "./elements.js";

const TITLES = { face: "your face", head_and_gaze: "your head, gaze", voice: "your voice" };
const FIGURES = [ // key, what it is called, the smallest difference worth a word, the length of a full bar, as text
  { key: "smile", title: "Smile", least: 0.04, full: 0.6, text: (v) => `${Math.round(v * 100)} %` },
  { key: "brows", title: "Brows", least: 0.04, full: 0.4, text: (v) => `${Math.round(v * 100)} %` },
  { key: "nods_per_min", title: "Nods a minute", least: 1, full: 12, text: (v) => v.toFixed(1) },
];
const LOST_MS = 10_000;

/** What a message says in words: the cue that does most, or that nothing does. */
export function sentenceOf({ cues, ...rows }) {
  let best = { share: 1 };
  for (const figure of FIGURES) {
    const [plan, ...without] = rows[figure.key];
    without.slice(0, Object.keys(TITLES).length).forEach((value, i) => {
      const share = Math.abs(plan - value) / figure.least;
      if (share > best.share) best = { share, figure, plan, value, cue: cues[i + 1] };
    });
  }
  if (!best.figure) return "No cue of the last seconds does much now.";
  const { figure, plan, value, cue } = best;
  return `${figure.title}: ${figure.text(plan)}. Without ${TITLES[cue] ?? cue} it would be ${figure.text(value)}.`;
}

const fits = ({ cues, ...rows }) => Array.isArray(cues) && FIGURES.every(({ key }) =>
  Array.isArray(rows[key]) && rows[key].length === cues.length && rows[key].every(Number.isFinite));

export class Why {
  /** `details`: the element that opens and closes; `onChange` is called when it does. */
  constructor(details, onChange) {
    Object.assign(this, { details, said: details.querySelector("p"), table: make("div"), last: -Infinity });
    details.append(this.table);
    details.addEventListener("toggle", onChange);
  }

  get open() {
    return this.details.open;
  }

  /** Take a message {cues: ["plan", "face", ...], smile: [...], brows: [...], nods_per_min: [...]}. */
  show(message, now) {
    if (!this.open || !fits(message)) return;
    this.last = now;
    this.said.textContent = sentenceOf(message);
    this.table.replaceChildren(...FIGURES.flatMap((figure) => {
      const [plan, ...without] = message[figure.key];
      const rows = without.map((value, i) => this.row(message.cues[i + 1], plan - value, figure));
      return [make("h2", {}, `${figure.title}: ${figure.text(plan)}, of that by`), ...rows];
    }));
  }

  row(cue, effect, { full, text }) {
    const length = Math.min(1, Math.abs(effect) / full) * 50, side = effect < 0 ? "against" : "for";
    const bar = make("i", { class: side });
    bar.style.width = `${length}%`;
    bar.style.left = effect < 0 ? `${50 - length}%` : "50%";
    return make("div", { class: "cause" }, make("span", {}, TITLES[cue] ?? `${cue.replace("-", "\u2013")} ago`), make("b", {}, bar),
      make("span", {}, (effect < 0 ? "\u2212" : "+") + text(Math.abs(effect))));
  }

  /** Say so when none comes; `policy`: who listens. */
  watch(policy, now) {
    if (!this.open || now - this.last < LOST_MS) return;
    this.table.replaceChildren();
    this.said.textContent = policy === "model" || !policy ? "Waiting for a reaction." : `The policy ${policy} draws no plans that could be explained.`;
  }
}
