// Puts the preview together: line -> picture, bars, face that is asked for; controls -> line.

import { Face } from "./draw.js";
import { Joints } from "./joints.js";
import { Link } from "./link.js";
import { lookNamed } from "./looks.js";
import { Picture } from "./picture.js";
import { amounts, decodeTick } from "./tick.js";

const $ = (id) => document.getElementById(id);
const picture = new Picture($("robot"));
const asked = new Face($("asked"));
lookNamed(document.documentElement.dataset.look).then((look) => asked.wear(look));
let robot = null;
let tick = null;
let drawn = null;
let dragging = false;

const link = new Link({
  read: decodeTick,
  onFrame(frame) {
    tick = frame;
  },
  onStatus(message) {
    if (message?.type === "robot") meet(message);
  },
  onChange: refresh,
});
link.staleMs = 1000;

const joints = new Joints($("joints"), {
  onTry: (name) => play(robot?.playing === name ? "clip" : name),
  onLight: (joint) => picture.light(joint),
});

function say(what) {
  link.report({ fps: 0, ...what });
}

function play(what) {
  say({ play: what });
}

function meet(message) {
  const other = !robot || robot.generation !== message.generation;
  robot = message;
  if (other) {
    $("name").textContent = robot.name;
    document.title = `${robot.name}: a robot's profile`;
    $("about").textContent = robot.about;
    $("shows").textContent = robot.shows;
    $("rules").textContent = robot.rules.length ? `Rules: ${robot.rules.join("; ")}.` : "";
    picture.build(robot.joints);
    joints.build(robot);
    drawn = null;
    const options = ["", ...robot.coefficients].map((name) => {
      const option = document.createElement("option");
      option.value = name;
      option.textContent = name || "–";
      return option;
    });
    $("try").replaceChildren(...options);
  }
  $("source").textContent = `${robot.file}, read again when it changes. Clip: ${robot.clip}.`;
  $("error").hidden = !robot.error;
  $("error").textContent = robot.error ? `${robot.error}. Shown is what was right before.` : "";
  $("play").textContent = robot.playing === "clip" ? "Pause" : "Play";
  $("try").value = robot.coefficients.includes(robot.playing) ? robot.playing : "";
  joints.mark(robot.playing);
  refresh();
}

function refresh() {
  const state = !link.connected ? link.reason : robot?.fault ? robot.fault : tick?.state ?? "waiting";
  const what = state === "returning" ? "returning to neutral" : state;
  $("state").textContent = what;
  $("state").className = "pill " + (!link.connected || robot?.fault ? "bad" : state === "following" ? "good" : "");
  $("state").title = what;
}

function paint() {
  requestAnimationFrame(paint);
  if (!tick || tick === drawn || !robot || tick.generation !== robot.generation) return;
  drawn = tick;
  picture.draw(amounts(robot.joints, tick.command));
  joints.draw(tick);
  if (asked.look) asked.draw(tick.face, performance.now() / 1000);
  if (!dragging) $("place").value = String(Math.round(1000 * tick.place));
}

$("play").addEventListener("click", () => play(robot?.playing === "clip" ? "paused" : "clip"));
$("again").addEventListener("click", () => say({ play: "restart" }));
$("try").addEventListener("change", () => play($("try").value || "clip"));
$("place").addEventListener("pointerdown", () => { dragging = true; });
$("place").addEventListener("change", () => {
  dragging = false;
  say({ seek: Number($("place").value) / 1000 });
});
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (["SELECT", "INPUT", "BUTTON"].includes(event.target.tagName)) return;
  if (event.key === " ") $("play").click();
  else if (event.key.toLowerCase() === "r") $("again").click();
  else return;
  event.preventDefault();
});

// For tests and for the curious.
window.preview = {
  state: () => ({ connected: link.connected, state: tick?.state, time: tick?.time, robot, command: tick ? [...tick.command] : [],
    target: tick ? [...tick.target] : [], parts: tick && robot ? amounts(robot.joints, tick.command) : {} }),
  drawn: () => drawn !== null && drawn.generation === robot?.generation,
};

setInterval(refresh, 200);
setInterval(() => say({}), 5000);
link.open();
requestAnimationFrame(paint);
