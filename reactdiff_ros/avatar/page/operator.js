// The operator's screen: the same line, face and robot as the face's page, shown for reading from afar.

import { Face } from "./draw.js";
import { Link } from "./link.js";
import { LOOKS, lookOr } from "./looks.js";
import { Motion } from "./motion.js";
import { ERROR, messages, parts, state, tiles } from "./operator_state.js";
import { Robot } from "./robot_panel.js";
import { Seat } from "./seat.js";

const MOST_MESSAGES = 4;
const STILL_MS = 100; // between pictures of a face that does not move
const $ = (id) => document.getElementById(id);

const robot = new Robot();
const seat = new Seat();
const face = new Face($("face"));
const motion = new Motion();
let graph = {};
let shared = false;
let newest = null;
let seen = 0;
let worn = "";

/** Wear the look that the face was started with; a 3D avatar is replaced by the drawn face. */
async function wear(look) {
  if (look === worn) return;
  worn = look;
  try {
    face.wear((await lookOr(LOOKS.includes(look) ? look : "own"))[0]);
  } catch {
    worn = ""; // the next status tries again
  }
}

const link = new Link({
  onFrame(frame, now) {
    newest = frame;
    motion.frame(frame.values, now);
  },
  onStatus(message) {
    if (message?.type !== "status") return;
    graph = message.graph ?? {};
    shared = message.page?.shared === true;
    if (message.page?.look) wear(message.page.look);
    if (message.page?.stale_s > 0) link.staleMs = message.page.stale_s * 1000;
    refresh();
  },
  onChange() {
    if (!link.connected) graph = graph.actuator ? { actuator: graph.actuator } : {};
    refresh();
  },
});

function own(now) {
  const fresh = link.fresh(now);
  const age = newest && fresh ? (newest.stamp - newest.picture) * 1000 : NaN;
  return {
    connected: link.connected, fresh, reason: link.why(now), rate: link.rateAt(now), age,
    mode: fresh ? newest.mode : "neutral",
  };
}

function make(tag, text, kind = "") {
  const node = document.createElement(tag);
  node.textContent = String(text ?? "").slice(0, 300);
  if (kind) node.dataset.kind = kind;
  return node;
}

/** Replace what `node` holds where it would look different: a text that is being read stays where it is. */
function put(node, children) {
  const now = children.map((child) => child.outerHTML).join("");
  if (node.put === now) return;
  node.put = now;
  node.replaceChildren(...children);
}

function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

function row(kind, ...cells) {
  const node = make("li", "", kind);
  node.append(...cells.filter(([, value]) => value).map(([tag, value]) => make(tag, value)));
  return node;
}

function refresh() {
  const mine = own(performance.now());
  const now = state(graph, mine);
  $("state").dataset.kind = now.kind;
  text($("title"), now.title);
  text($("text"), String(now.text ?? "").slice(0, 200));
  const wrong = messages(graph, mine);
  const shown = wrong.slice(0, MOST_MESSAGES).map((m) => row(m.level >= ERROR ? "bad" : "warn", ["b", `${m.part}: `], ["span", m.text]));
  if (wrong.length > MOST_MESSAGES) shown.push(row("", ["span", `and ${wrong.length - MOST_MESSAGES} more, below`]));
  put($("messages"), shown);
  put($("tiles"), tiles(graph, mine).map(([label, value, bad]) => {
    const tile = make("div", "", bad ? "bad" : "");
    tile.append(make("dt", label), make("dd", value));
    return tile;
  }));
  const list = make("ul", "");
  list.append(...parts(graph).map((p) => row(p.kind, ["b", p.part], ["span", p.text], ["i", [p.rate, p.latency, p.dropped].filter(Boolean).join("  ")])));
  put($("stages"), list.children.length ? [make("h2", "Parts"), list] : []);
  const recorded = String(graph.recording ?? "").slice(0, 120);
  text($("recording"), recorded || (link.connected ? "not recorded" : "recording: not known"));
  $("recording").dataset.kind = recorded ? "bad" : "";
  const session = graph.listener?.session ? `session ${graph.listener.session} · ` : "";
  text($("who"), (session + (graph.actuator?.robot ? `robot ${graph.actuator.robot}` : "screen face")).slice(0, 120));
  seat.show(graph, shared);
  robot.show(graph.actuator, true, link.connected);
  document.body.dataset.robot = String(!$("stop").hidden);
}

function picture() {
  requestAnimationFrame(picture);
  const clock = performance.now();
  if (!link.fresh(clock)) motion.neutral(clock);
  if (!motion.at(clock) && clock - seen < STILL_MS) return;
  seen = clock;
  if (face.look) face.draw(motion.shown, clock / 1000);
}

setInterval(refresh, 250);
setInterval(() => link.report({ fps: 0 }), 2000);
link.open();
requestAnimationFrame(picture);
