// Puts the page together: line -> motion -> face, panel, keys.

import { keepAwake } from "./awake.js";
import { Candidates } from "./candidates.js";
import { Choices } from "./choices.js";
import { Compare } from "./compare.js";
import { Face } from "./draw.js";
import { Link, decode, perSecond } from "./link.js";
import { LOOKS, lookOr } from "./looks.js";
import { Motion } from "./motion.js";
import { fillPanel, fillState } from "./panel.js";
import { showPhone } from "./phone.js";
import { Presence } from "./presence.js";
import { NAMES } from "./rig.js";
import { Robot } from "./robot_panel.js";
import { Visitor } from "./visitor.js";
import { Voice, sound } from "./voice.js";
import { Why } from "./why.js";

const root = document.documentElement;
const svg = document.getElementById("face");
const panel = document.getElementById("panel");
const values = document.getElementById("values"), numbers = document.getElementById("numbers");
const button = document.getElementById("panel-button");
const notice = document.getElementById("notice");
const recording = document.getElementById("recording");

const robot = new Robot();
const face = new Face(svg);
const motion = new Motion();
const presence = new Presence();
const voice = new Voice(document.getElementById("voice-button"), () => report());
const visitor = new Visitor(() => voice.start(), () => report());
let here = { state: "attentive", mood: {}, sentence: "" };
let wrongLook = "";
let drawn = 0;
const STILL_MS = 30; // between pictures of a face whose coefficients do not change: pupils, springs and lights still move
const FEW_CORES = 4, SPARING_MS = 30; // a page that is camera too, on such a device, draws every second picture: the listener may run there as well
let status = {};
let newest = null;
let pictures = [];
let avatar = null;
let slowSince = 0;
const AVATAR = "avatar"; // as a look: the 3D avatar that the face was started with
const looks = root.dataset.avatar ? [AVATAR, ...LOOKS] : LOOKS;
const choices = new Choices(document.getElementById("choices"), looks, wear);
const FEWEST_FPS = 10; // below this for SLOW_MS the drawn face replaces an avatar
const SLOW_MS = 4000;

/** Draw the avatar at this address from now on; where that fails, the drawn face replaces it and the page says why. */
async function wearAvatar(url) {
  dropAvatar();
  try {
    const { Avatar } = await import("./avatar.js");
    const canvas = document.createElement("canvas"); // a closed WebGL context cannot be used again
    canvas.id = "avatar";
    canvas.setAttribute("aria-label", "The robot's face");
    canvas.style.cssText = svg.style.cssText; // the ground's colours
    svg.after(canvas);
    avatar = await Avatar.open(canvas, url);
    svg.setAttribute("hidden", "");
    [slowSince, pictures, wrongLook] = [0, [], ""];
  } catch (error) {
    dropAvatar();
    wrongLook = error.message;
  }
  refresh();
}

function dropAvatar() {
  avatar?.close();
  avatar = null;
  document.getElementById("avatar")?.remove();
  svg.removeAttribute("hidden");
}

/** A page that draws an avatar too slowly goes back to the drawn face. */
function watchAvatar(now) {
  const slow = document.visibilityState === "visible" && pictures.length > 5 && fps(now) < FEWEST_FPS;
  slowSince = slow ? slowSince || now : 0;
  if (!slow || now - slowSince < SLOW_MS) return;
  dropAvatar();
  wrongLook = "This device draws the avatar too slowly, so the drawn face replaces it.";
}

async function wear(name) {
  if (name === AVATAR) return wearAvatar(root.dataset.avatar);
  if (avatar) dropAvatar();
  const [look, wrong] = await lookOr(name);
  wrongLook = wrong;
  face.wear(look);
  root.dataset.look = look.name;
  root.dataset.dark = String(look.style.dark);
  refresh();
}

const link = new Link({
  onFrame(frame, now) {
    newest = frame;
    motion.frame(frame.values, now);
  },
  onStatus(message) {
    if (message?.type === "seen" && visitor.live) visitor.mesh.show(message);
    if (message?.type === "explanation") why.show(message, performance.now());
    if (message?.type === "candidates") candidates.show(message, performance.now());
    if (message?.type !== "status") return;
    status = message;
    if (message.page?.stale_s > 0) link.staleMs = message.page.stale_s * 1000;
    robot.show(status.graph?.actuator, !panel.hidden, link.connected);
    visitor.show(status.graph);
    voice.show(status.graph?.voice);
    showPhone(status.page);
    compare.show(status.graph?.compared, status.graph?.listener?.style, avatar ? AVATAR : face.look?.name);
    if (!panel.hidden) refresh();
  },
  read(data) { // frames of the second face are none of the first: they do not show that this one is fresh
    const frame = decode(data);
    if (frame?.face) compare.frame(frame, performance.now());
    return frame?.face ? null : frame;
  },
  onOther(data) {
    const piece = sound(data);
    if (piece) voice.play(piece);
  },
  onChange() {
    if (!link.connected) status = {}; // what was seen before is not seen now
    visitor.show(status.graph);
    refresh();
  },
});

const compare = new Compare(report);
const candidates = new Candidates(document.getElementById("candidates"), report);
const why = new Why(document.getElementById("why"), report);

const fps = (now) => perSecond(pictures, now);

function own(now) {
  const fresh = link.fresh(now);
  const age = newest && fresh ? (newest.stamp - newest.picture) * 1000 : NaN;
  return {
    connected: link.connected, fresh, reason: link.why(now), mode: fresh ? newest.mode : "neutral",
    fps: Math.round(fps(now)), rate: Math.round(link.rateAt(now)), look: face.look?.name ?? "", state: here.state,
    sentence: wrongLook || here.sentence,
    age: Number.isFinite(age) ? Math.round(age) : null,
  };
}

function refresh() {
  here = presence.at(status.graph, own(performance.now()), performance.now() / 1000);
  const state = own(performance.now());
  root.dataset.mode = state.mode;
  root.dataset.state = state.state;
  root.dataset.connected = String(state.connected);
  root.dataset.fresh = String(state.fresh);
  notice.textContent = state.connected ? wrongLook : state.reason;
  notice.classList.toggle("shown", Boolean(notice.textContent));
  const recorded = String(status.graph?.recording ?? "").slice(0, 120);
  robot.show(status.graph?.actuator, !panel.hidden, state.connected);
  recording.hidden = !recorded;
  visitor.recorded(recorded);
  if (recording.textContent !== recorded) recording.textContent = recorded;
  if (panel.hidden) return;
  choices.show(status.page?.choices, { look: avatar ? AVATAR : state.look, style: status.graph?.listener?.style,
    compare: status.graph?.compared || "nothing" });
  fillState(document.getElementById("now"), status, state);
  if (numbers.open) fillPanel(values, { graph: status.graph, page: status.page, own: state, face: Object.fromEntries(NAMES.slice(0, 52).map((name, i) => [name, motion.shown[i]])) });
  for (const view of [candidates, why]) view.watch(status.graph?.listener?.policy, performance.now());
}

/** Tell the server how fast the page is, and whether anybody looks at the candidates. */
function report() {
  const open = (view) => !panel.hidden && view.open;
  link.report({ fps: Math.round(fps(performance.now()) * 10) / 10, candidates: open(candidates), explanation: open(why), voice: voice.on,
    seen: visitor.live, compared: Boolean(compare.name) });
}

function picture(now) {
  requestAnimationFrame(picture);
  pictures.push(now);
  if (pictures.length > 400) pictures = pictures.slice(-200);
  const clock = performance.now();
  if (visitor.live && navigator.hardwareConcurrency <= FEW_CORES && clock - drawn < SPARING_MS) return;
  if (!link.fresh(clock)) motion.neutral(clock);
  compare.draw(clock, here.mood);
  if (!motion.at(clock) && clock - drawn < STILL_MS) return;
  drawn = clock;
  if (avatar) {
    avatar.draw(motion.shown, clock / 1000);
    watchAvatar(now);
  } else if (face.look) {
    face.draw(motion.shown, clock / 1000, here.mood);
  }
}

function togglePanel() {
  panel.hidden = !panel.hidden;
  button.setAttribute("aria-expanded", String(!panel.hidden));
  refresh();
  report();
}

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else root.requestFullscreen?.().catch(() => {});
}

function nextLook() {
  wear(looks[(looks.indexOf(avatar ? AVATAR : face.look?.name) + 1) % looks.length]);
}

let quietTimer = 0;
function stir() {
  document.body.classList.remove("quiet");
  clearTimeout(quietTimer);
  quietTimer = setTimeout(() => panel.hidden && document.body.classList.add("quiet"), 2500);
}

button.addEventListener("click", togglePanel);
numbers.addEventListener("toggle", refresh);
document.getElementById("look-button").addEventListener("click", nextLook);
document.getElementById("screen-button").addEventListener("click", toggleFullScreen);
svg.addEventListener("dblclick", toggleFullScreen);
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const action = { p: togglePanel, f: toggleFullScreen, l: nextLook }[event.key.toLowerCase()];
  if (action) action();
});
for (const kind of ["pointermove", "pointerdown", "keydown"]) addEventListener(kind, stir);
stir();

// For tests and for the curious: what is drawn, read from the drawing; and the face without a server.
window.reactdiff = {
  state: () => ({ ...own(performance.now()), frames: link.frames, connections: link.connections, values: [...(avatar ?? face).values],
    drawn: face.look ? face.measure() : null, avatar: avatar?.measure() ?? null }),
  values: () => [...(avatar ?? face).values],
  fresh: () => link.fresh(performance.now()),
  connected: () => link.connected,
  drawnAt: () => drawn,
  visitor: () => ({ meshes: visitor.mesh.drawn, state: visitor.capture.state, sentence: visitor.capture.sentence, ...visitor.capture.counts }),
  compared: () => compare.face && [...compare.face.values],
  recorded: () => visitor.video,
  voice: () => ({ on: voice.on, played: voice.played, state: voice.context?.state ?? "" }),
  names: NAMES,
  looks: LOOKS,
  wear,
};

setInterval(refresh, 250);
setInterval(() => keepAwake(visitor.capture.state === "live" || Boolean(document.fullscreenElement)), 1000);
setInterval(report, 2000);
const asked = new URLSearchParams(location.search).get("look");
wear(asked ?? root.dataset.look).then(() => root.dataset.avatar && !asked && wear(AVATAR));
link.open();
requestAnimationFrame(picture);
