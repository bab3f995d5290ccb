// What the operator's screen says, from what the server reports: pure functions, nothing of the page.

const WARN = 1;
export const ERROR = 2;
const PARTS = {
  camera_node: "Camera", browser_node: "Visitor", microphone_node: "Microphone", clip_node: "Clip", perception_node: "Perception",
  reaction_node: "Listener", expression_node: "Face", avatar_node: "Page", output_node: "Avatars",
  actuator_node: "Robot", recorder_node: "Recording",
};

/** A node's name as people say it. */
export const part = (stage) => PARTS[stage] ?? stage;

const finite = (value) => typeof value === "number" && Number.isFinite(value);

/** What is wrong now, worst first: [{ level, part, text }]. */
export function messages(graph = {}, own = {}) {
  const found = [];
  if (own.connected === false) found.push({ level: ERROR, part: "This screen", text: own.reason });
  for (const [name, stage] of Object.entries(graph.stages ?? {})) {
    if (stage.silent) found.push({ level: ERROR, part: part(name), text: "is not heard any more" });
    else if (stage.level >= WARN) found.push({ level: stage.level, part: part(name), text: stage.message });
  }
  return found.sort((a, b) => b.level - a.level);
}

const listening = (speaker) => {
  const who = speaker.person >= 0 ? `person ${speaker.person}` : "a voice";
  return speaker.speaking ? `${who}, who speaks` : who;
};

/** The one big thing: { kind: ok | calm | warn | bad | wait, title, text }. */
export function state(graph = {}, own = {}) {
  const speaker = graph.speaker ?? {}, robot = graph.actuator;
  const wrong = messages(graph, own);
  if (!own.connected) return { kind: "bad", title: "No connection", text: own.reason };
  if (!graph.stages) return { kind: "wait", title: "Connecting", text: "nothing was heard of the nodes yet" };
  if (robot && (robot.software_stop || robot.state === "stopped"))
    return { kind: "bad", title: "Robot stopped", text: robot.fault || "by a person, until it is reset" };
  if (robot?.silent) return { kind: "bad", title: "Robot not heard", text: "nothing comes from its actuator" };
  if (!own.fresh) return { kind: "bad", title: "Face neutral", text: own.reason };
  const first = wrong[0];
  const seen = own.mode === "listening" ? listening(speaker) : "no one is listened to";
  if (first?.level >= ERROR) return { kind: "bad", title: `${first.part}: error`, text: seen };
  const kind = first ? "warn" : own.mode === "listening" ? "ok" : own.mode === "idle" ? "calm" : "warn";
  const title = { listening: "Listening", idle: "No one there", neutral: "No input" }[own.mode] ?? "Neutral";
  return { kind, title, text: own.mode === "listening" ? `to ${seen}` : "the face is at rest" };
}

const ms = (value) => (finite(value) ? `${Math.round(value)} ms` : "–");

/** Figures that are read from afar: [[label, value, whether it is out of bounds]]. */
export function tiles(graph = {}, own = {}) {
  const speaker = graph.speaker ?? {}, stages = graph.stages ?? {};
  const face = stages.expression_node ?? {}, rate = own.connected ? own.rate : 0;
  const missed = face.missed ?? null;
  const there = speaker.present ? (speaker.person >= 0 ? `person ${speaker.person}` : "someone") : "no one";
  const looks = finite(speaker.looks_here) ? (speaker.looks_here > 0.5 ? "here" : "away") : "–";
  const rows = [
    ["seen", there, false],
    ["gaze", speaker.present ? looks : "–", false],
    ["voice", speaker.microphone ? (speaker.speaking ? "speaks" : "silent") : "no sound", speaker.microphone === false],
    ["picture to face", ms(own.age), finite(own.age) && own.age > 250],
    ["faces a second", String(Math.round(rate)), rate < 40],
    ["faces missed", missed === null ? "–" : String(missed), false],
  ];
  return rows;
}

/** Every part in order: [{ part, kind, text, rate, latency }]. */
export function parts(graph = {}) {
  return Object.entries(graph.stages ?? {}).map(([name, stage]) => ({
    part: part(name), kind: stage.silent ? "bad" : ["ok", "warn", "bad"][stage.level] ?? "bad",
    text: stage.silent ? "is not heard any more" : stage.message,
    rate: finite(stage.rate) ? `${stage.rate.toFixed(stage.rate < 10 ? 1 : 0)}/s` : "",
    latency: finite(stage.latency) ? ms(stage.latency) : "", dropped: stage.dropped ? `${stage.dropped} dropped` : "",
  }));
}
