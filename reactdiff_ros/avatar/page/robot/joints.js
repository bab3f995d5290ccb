// A row for every joint: its bar, what moves it, and, opened, its formula, curve and limits. All is set as text.

import { add, shape, words } from "./elements.js";

const KINDS = [
  ["lids", /^(lid|squint)/], ["brows", /^brow/], ["eyes", /^gaze/], ["antennas", /^antenna/], ["cheeks", /^cheek/],
  ["neck", /^(pitch|yaw|roll|x|y|z)$/], ["mouth", /./],
];

/** A number as short as it can be read. */
function short(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** A position with as many digits as the joint's range asks for. */
const digitsOf = (joint) => Math.min(5, Math.max(0, 3 - Math.ceil(Math.log10(joint.upper - joint.lower))));

const unitOf = (unit) => ({ us: "µs", deg: "°", 1: "", raw: "" })[unit] ?? " " + unit;
const kindOf = (joint) => (joint.parts.length ? KINDS.find(([, test]) => test.test(joint.parts[0][0]))[0] : "none");
const terms = (sum) => Object.entries(sum).map(([name, weight], i) =>
  (weight < 0 ? (i ? " − " : "−") : i ? " + " : "") + short(Math.abs(weight)) + " " + name).join("") || "0";

function curvePlot(joint) {
  const [w, h] = [220, 74];
  const xs = joint.curve.map(([x]) => x), ys = joint.curve.map(([, y]) => y);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys, 0), Math.max(...ys, 0)];
  const at = ([x, y]) => `${(4 + ((x - x0) / (x1 - x0 || 1)) * (w - 8)).toFixed(1)} ${(h - 4 - ((y - y0) / (y1 - y0 || 1)) * (h - 8)).toFixed(1)}`;
  const svg = shape("svg", { viewBox: `0 0 ${w} ${h}` });
  const line = (points, name) => add(svg, "polyline", { points: points.map(at).join(" "), class: name });
  line([[x0, 0], [x1, 0]], "axis");
  line(joint.curve, "curve");
  const box = words("div", "plot");
  box.append(svg, words("span", "", `sum ${short(x0)} to ${short(x1)} → offset ${short(ys[0])} to ${short(ys.at(-1))}${unitOf(joint.unit)}`));
  return box;
}

export class Joints {
  constructor(root, { onTry, onLight }) {
    Object.assign(this, { root, onTry, onLight });
    this.rows = [];
    this.open = new Set();
    root.addEventListener("pointerleave", () => onLight(null));
  }

  build(robot) {
    this.rows = [];
    this.chips = [];
    const groups = new Map();
    for (const joint of robot.joints) groups.set(joint.group, [...(groups.get(joint.group) ?? []), joint]);
    const place = new Map(robot.joints.map((joint, i) => [joint.name, i]));
    const few = robot.joints.length <= 20;
    const parts = [];
    for (const [group, joints] of groups) {
      const section = words("section", "group");
      section.append(words("h2", "", group.replaceAll("_", " ")));
      for (const joint of joints) section.append(this.row(joint, place.get(joint.name), few, robot));
      parts.push(section);
    }
    if (robot.unused.length) {
      const unused = robot.unused.length > 12 ? `${robot.unused.slice(0, 12).join(", ")} and ${robot.unused.length - 12} more` : robot.unused.join(", ");
      parts.push(words("p", "unused", `Moves nothing here: ${unused}.`));
    }
    this.root.replaceChildren(...parts);
  }

  row(joint, index, few, robot) {
    const row = words("article", "joint " + kindOf(joint));
    row.dataset.joint = joint.name;
    const head = words("div", "head");
    const name = words("button", "name", joint.name.replaceAll("_", " "));
    name.type = "button";
    name.title = `${joint.driver} ${joint.id}, on a fault: ${joint.on_fault.replaceAll("_", " ")}`;
    const bar = words("div", "bar"), fill = words("i", "fill"), target = words("i", "target"), command = words("i", "command"), rest = words("i", "rest");
    const at = (value) => (100 * (value - joint.lower)) / (joint.upper - joint.lower);
    rest.style.left = at(joint.neutral) + "%";
    bar.append(fill, rest, target, command);
    bar.title = `${short(joint.lower)} to ${short(joint.upper)}${unitOf(joint.unit)}, neutral ${short(joint.neutral)}`;
    const value = words("output", "value"), ends = words("span", "ends");
    ends.append(words("span", "", String(joint.lower)), words("span", "", joint.upper + unitOf(joint.unit)));
    const box = words("div", "track");
    box.append(bar, ends);
    head.append(name, box, value);
    const chips = this.effects(joint, few ? 7 : 3);
    const more = words("div", "more");
    row.append(head, chips, more);
    const show = () => {
      const open = this.open.has(joint.name);
      row.classList.toggle("open", open);
      name.setAttribute("aria-expanded", String(open));
      if (open && !more.childNodes.length) more.append(...this.details(joint, robot));
    };
    name.addEventListener("click", () => {
      if (!this.open.delete(joint.name)) this.open.add(joint.name);
      show();
    });
    row.addEventListener("pointerenter", () => this.onLight(joint));
    show();
    this.rows[index] = { joint, row, fill, target, command, value, at, digits: digitsOf(joint) };
    return row;
  }

  effects(joint, most) {
    const chips = words("div", "chips");
    const sorted = Object.entries(joint.effects).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
    for (const [name, share] of sorted.slice(0, most)) {
      const chip = words("button", "chip" + (share < 0 ? " minus" : ""));
      chip.type = "button";
      chip.dataset.coefficient = name;
      chip.title = `${name} at its most: ${short(100 * share)} % of the way from neutral to the limit. Click to try it.`;
      chip.style.setProperty("--share", Math.min(1, Math.abs(share)).toFixed(2));
      chip.append(words("b", "", name), words("span", "", `${share > 0 ? "+" : "−"}${Math.abs(100 * share).toFixed(0)} %`));
      chip.addEventListener("click", () => this.onTry(name));
      this.chips.push(chip);
      chips.append(chip);
    }
    if (sorted.length > most) chips.append(words("span", "rest-of", `+${sorted.length - most}`));
    if (!sorted.length) chips.append(words("span", "nothing", "nothing moves it"));
    return chips;
  }

  details(joint, robot) {
    const u = unitOf(joint.unit);
    const lines = [];
    const sum = terms(joint.sum);
    const moved = joint.curve ? ` + curve(${sum})` : sum.startsWith("−") ? ` − ${sum.slice(1)}` : ` + ${sum}`;
    lines.push(`${joint.name} = ${short(joint.neutral)}${moved}`
      + Object.entries(joint.follow).map(([other, weight]) => ` ${weight < 0 ? "−" : "+"} ${short(Math.abs(weight))} × how far ${other} is from neutral`).join(""));
    for (const name of Object.keys(joint.sum)) {
      const signal = robot.signals[name];
      if (signal) lines.push(`${name} = ${signal.curve ? `curve(${terms(signal.sum)})` : terms(signal.sum)}`);
    }
    lines.push(`at most ${short(joint.speed)}${u}/s, ${short(joint.acceleration)}${u}/s², ${short(joint.jerk)}${u}/s³`);
    const nodes = lines.map((line, i) => words("p", i < lines.length - 1 ? "formula" : "limits", line));
    return joint.curve ? [...nodes, curvePlot(joint)] : nodes;
  }

  /** Mark the coefficient that is tried now. */
  mark(playing) {
    for (const chip of this.chips ?? []) chip.classList.toggle("tried", chip.dataset.coefficient === playing);
  }

  draw(tick) {
    this.rows.forEach(({ joint, row, fill, target, command, value, at, digits }, i) => {
      const now = at(tick.command[i]), rest = at(joint.neutral);
      fill.style.left = Math.min(now, rest) + "%";
      fill.style.width = Math.abs(now - rest) + "%";
      command.style.left = now + "%";
      target.style.left = at(tick.target[i]) + "%";
      row.classList.toggle("cut", Boolean(tick.limited[i]) && Math.abs(tick.command[i] - tick.target[i]) <= 1e-3 * (joint.upper - joint.lower));
      const text = (tick.command[i] || 0).toFixed(digits) + unitOf(joint.unit);
      if (value.textContent !== text) value.textContent = text;
    });
  }
}
