// The robot's part of both pages, and its stop. There is nothing of it where there is no actuator.

import { make } from "./elements.js";
import { command, kept, post } from "./post.js";

const STATES = {
  disarmed: "disarmed: no joint has torque", preparing: "being armed", starting: "armed: moving slowly to neutral",
  following: "armed: follows the face", returning: "armed: no face comes, at neutral or on the way",
  lowering: "being disarmed", stopped: "stopped",
};
// The server answers a stop within 3 s and a command within 12 s; a connection that hangs is given up.
const AGAIN_MS = 300, GIVE_UP_MS = 6000, STOP_MS = 4000, COMMAND_MS = 15000;

const $ = (id) => document.getElementById(id);

/** What the page's empty section of the robot holds. */
function parts() {
  const form = make("form", { id: "robot-form" },
    make("input", {
      id: "robot-token", type: "password", autocomplete: "off", spellcheck: "false", maxlength: 128,
      placeholder: "token from the terminal", "aria-label": "Token that the terminal prints",
    }),
    make("button", { id: "robot-arm", type: "submit" }, "Arm"),
    make("button", { id: "robot-disarm", type: "button" }, "Disarm"),
    make("button", { id: "robot-reset", type: "button" }, "Reset"));
  return [
    make("h2", {}, "Robot"), make("p", { id: "robot-state" }), make("ul", { id: "robot-faults" }), form,
    make("p", { id: "robot-answer", role: "status" }),
  ];
}

/** One line for all joints that have the same fault. */
function together(faults) {
  const joints = new Map();
  for (const [joint, why] of Object.entries(faults)) joints.set(why, [...(joints.get(why) ?? []), joint]);
  return [...joints].map(([why, names]) =>
    (names.length > 4 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ")) + `: ${why}`);
}

export class Robot {
  constructor() {
    this.actuator = null;
    this.stopping = false;
    this.shown = "";
    $("robot").append(...parts());
    $("robot-token").value = kept();
    $("stop").addEventListener("click", () => this.stop());
    $("robot-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.command("arm");
    });
    $("robot-disarm").addEventListener("click", () => this.command("disarm"));
    $("robot-reset").addEventListener("click", () => this.command("reset"));
    // Before everything else, whatever has the focus: a button must not take the space bar for itself.
    addEventListener("keydown", (event) => this.key(event), true);
    addEventListener("keyup", (event) => this.actuator && event.key === " " && event.preventDefault(), true);
  }

  key(event) {
    if (!this.actuator || (event.key !== " " && event.key !== "Escape")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!event.repeat) this.stop();
  }

  /** Show the actuator's state; undefined: there is none. */
  show(actuator, open, connected) {
    this.again = () => this.show(actuator, open, connected);
    if (!connected && this.actuator) actuator = { ...this.actuator, lost: true }; // a stop is tried all the same
    this.actuator = actuator ?? null;
    $("robot").hidden = !actuator;
    $("stop").hidden = !actuator || !(open || actuator.armed || actuator.silent || actuator.lost || actuator.state === "preparing");
    if (!actuator) {
      $("stopped").hidden = true;
      return;
    }
    const text = JSON.stringify([actuator, this.stopping]);
    if (text === this.shown) return;
    this.shown = text;
    const { state, software_stop: stopped, fault = "", joint_faults: faults = {}, obstacles = [] } = actuator;
    const silent = actuator.silent || actuator.lost;
    const held = state === "disarmed" && actuator.torque;
    const words = silent ? "nothing is heard of it" : stopped ? "stopped by a person, until reset"
      : held ? "disarmed, but joints have or may have torque" : STATES[state] ?? state;
    $("robot-state").textContent = `${actuator.robot}: ${words}`;
    $("robot-state").className = stopped || state === "stopped" || silent ? "stopped" : actuator.armed ? "armed" : "";
    // What keeps a robot from being armed has its joints' faults in it.
    const known = state === "disarmed" && obstacles.length ? obstacles : together(faults);
    const lines = [...(fault ? [fault] : []), ...(held && !obstacles.length ? [actuator.message] : []), ...known].slice(0, 12);
    $("robot-faults").replaceChildren(...[...new Set(lines)].map((line) => make("li", {}, String(line).slice(0, 300))));
    $("robot-arm").disabled = silent || this.stopping || state !== "disarmed" || obstacles.length > 0;
    $("robot-disarm").disabled = silent || this.stopping || !(held || ["preparing", "starting", "following", "returning"].includes(state));
    $("robot-reset").disabled = silent || this.stopping || !(state === "stopped" || (state === "disarmed" && (fault || Object.keys(faults).length)));
  }

  command(what) {
    return command(`api/robot/${what}`, $("robot-token"), $("robot-answer"), COMMAND_MS);
  }

  /** Stop now, and say whether the robot confirmed it. */
  async stop() {
    if (this.stopping) return;
    this.stopping = true;
    this.tell("Stopping …");
    const end = performance.now() + GIVE_UP_MS;
    let last = "";
    try {
      while (performance.now() < end) {
        try {
          const { done, message } = await post("api/robot/stop", {}, STOP_MS);
          last = message;
          if (done) return this.tell(message);
        } catch {
          last = "The page has no connection to the robot";
        }
        await new Promise((go) => setTimeout(go, AGAIN_MS));
        this.tell(last, true);
      }
      this.tell(last.includes("cut the power") ? last : `The stop was NOT confirmed (${last}): cut the power of the servos.`, true);
    } finally {
      this.stopping = false;
      this.again?.();
    }
  }

  tell(text, failed = false) {
    const box = $("stopped");
    box.textContent = text;
    box.className = failed ? "failed" : "";
    box.hidden = false;
    clearTimeout(this.hiding);
    if (!failed) this.hiding = setTimeout(() => { box.hidden = true; }, 6000);
  }
}
