// The panel: what the robot sees and hears, rates, latency, the last error. Everything is set as text, never as HTML.

import { words } from "./elements.js";

const TITLES = {
  speaker: "Sees and hears", listener: "Listener", latency_ms: "Latency (ms)", rates_hz: "Rates (per second)", page: "This page",
};
const ORDER = ["speaker", "rates_hz", "latency_ms", "listener"];

function shown(value) {
  if (value === null || value === undefined || value === "") return ["–", "no"];
  if (typeof value === "boolean") return value ? ["yes", "yes"] : ["no", "no"];
  if (typeof value === "number") return [Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) < 10 ? 2 : 1), ""];
  if (Array.isArray(value)) return [value.map((v) => shown(v)[0]).join(", ").slice(0, 200), ""];
  return [String(value).slice(0, 200), ""];
}

function section(title, pairs) {
  if (!pairs.length) return [];
  const list = words("dl");
  for (const [key, value] of pairs) {
    const [text, className] = shown(value);
    list.append(words("dt", "", key.replaceAll("_", " ")), words("dd", className, text));
  }
  return [words("h2", "", title), list];
}

const isGroup = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

function bars(title, values) {
  const top = Object.entries(values).filter(([, v]) => typeof v === "number" && v > 0.04)
    .sort((a, b) => b[1] - a[1]).slice(0, 6);
  if (!top.length) return [];
  return [words("h2", "", title), ...top.map(([name, value]) => {
    const row = words("div", "bar");
    const meter = document.createElement("meter");
    meter.value = Math.min(1, value);
    row.append(words("span", "", name), meter);
    return row;
  })];
}

/** What everybody wants to know: what it does, and what is wrong. */
export function fillState(node, { graph = {}, page = {} }, own) {
  const errors = [own.reason, graph.last_error, page.last_error].filter(Boolean);
  const state = own.reason ? "neutral" : own.mode === "listening" ? own.state : own.mode;
  node.replaceChildren(
    words("h2", "", "State"), words("p", own.reason ? "bad" : "yes", state), ...(own.sentence ? [words("p", "told", own.sentence)] : []),
    ...(errors.length ? errors.map((error) => words("p", "bad", String(error).slice(0, 400))) : [words("p", "no", "no error")]),
  );
}

/** Fill `panel` (the engineer's values) from the server's status and the page's own state. */
export function fillPanel(panel, { graph = {}, page = {}, own, face }) {
  const parts = [];
  for (const key of ORDER) if (isGroup(graph[key])) parts.push(...section(TITLES[key], Object.entries(graph[key]).filter(([, v]) => !isGroup(v))));
  if (isGroup(graph.speaker?.coefficients)) parts.push(...bars("The speaker's face", graph.speaker.coefficients));
  parts.push(...bars("My face", face));
  for (const [key, value] of Object.entries(graph)) {
    if (isGroup(value) && !ORDER.includes(key) && key !== "actuator") parts.push(...section(key.replaceAll("_", " "), Object.entries(value).filter(([, v]) => !isGroup(v))));
  }
  const rest = Object.entries(graph).filter(([key, value]) => !isGroup(value) && key !== "last_error");
  parts.push(...section("More", rest));
  parts.push(...section(TITLES.page, Object.entries({
    connected: own.connected, pictures_per_second: own.fps, frames_per_second: own.rate,
    camera_to_face_ms: own.age, pages_open: page.clients, look: own.look,
  })));
  panel.replaceChildren(...parts);
}
