// All looks with all expressions, live, side by side; one of them large, with sliders. A look of one's own comes first.

import { Face } from "./draw.js";
import { make, shape } from "./elements.js";
import { EXPRESSIONS, moodOf, vector } from "./expressions.js";
import { chance } from "./life.js";
import { LOOKS, lookNamed } from "./looks.js";
import { NAMES } from "./rig.js";

const SLIDERS = ["mouthSmile", "mouthFrown", "jawOpen", "mouthPucker", "mouthFunnel", "mouthPress", "mouthLeft", "cheekSquint", "browInnerUp",
  "browOuterUp", "browDown", "eyeWide", "eyeSquint", "eyeBlink", "eyeLookUp", "eyeLookDown", "noseSneer", "tongueOut", "headPitch", "headYaw", "headRoll"];
const AVATAR = "avatar"; // its row has no drawings: the large face becomes the 3D avatar
const BUDGET_MS = 9; // of drawing in each picture: the small faces take turns
const $ = (id) => document.getElementById(id);

const big = new Face($("big"));
const cells = [];
const avatarButtons = [];
let avatar = null;
let chosen = { look: "soft", expression: "neutral" };
let values = {};

/** With both sides where a name has them. */
const sides = (name) => (NAMES.includes(name) ? [name] : [name + "Left", name + "Right"]);

/** A blink now and then, so that no one stares. */
function blinking(numbers, time, seed) {
  const n = Math.floor(time / 4.2), since = time - (n + 0.8 * chance(seed, n)) * 4.2;
  const lid = Math.max(0, Math.min(1, since / 0.07, (0.26 - since) / 0.14));
  const out = [...numbers];
  for (const name of ["eyeBlinkLeft", "eyeBlinkRight"]) out[NAMES.indexOf(name)] = Math.max(out[NAMES.indexOf(name)], since > 0 ? lid : 0);
  return out;
}

async function choose(look, expression) {
  chosen = { look, expression };
  values = { ...EXPRESSIONS[expression] };
  if (look === AVATAR) await wearAvatar();
  else big.wear(await lookNamed(look));
  showAvatar(look === AVATAR && avatar);
  for (const input of $("sliders").querySelectorAll("input")) {
    const given = sides(input.name).map((part) => values[part] ?? 0);
    input.value = given.reduce((sum, v) => sum + v) / given.length;
  }
  for (const cell of [...avatarButtons, ...cells]) cell.button.setAttribute("aria-pressed", String(cell.look === look && cell.expression === expression));
  $("caption").textContent = `${look}, ${expression}`;
}

/** The avatar that the face was started with, or the package's own. */
async function wearAvatar() {
  try {
    const { Avatar } = await import("./avatar.js");
    avatar ??= await Avatar.open($("avatar"), "avatar.glb");
  } catch (error) {
    [$("wrong").hidden, $("wrong").textContent] = [false, error.message];
  }
}

function showAvatar(shown) {
  $("avatar").hidden = !shown;
  $("big").toggleAttribute("hidden", Boolean(shown));
}

function makeSliders() {
  for (const name of SLIDERS) {
    const input = make("input", { type: "range", name, step: 0.01, min: name.startsWith("head") ? -0.5 : 0, max: name.startsWith("head") ? 0.5 : 1 });
    input.addEventListener("input", () => {
      for (const part of sides(name)) values[part] = Number(input.value);
      $("caption").textContent = `${chosen.look}, by the sliders`;
    });
    $("sliders").append(make("label", {}, name, input));
  }
  const reset = make("button", { type: "button" }, "Neutral");
  reset.addEventListener("click", () => choose(chosen.look, "neutral"));
  $("sliders").append(reset);
}

async function makeTable() {
  $("table").append(make("b", {}, ""), ...Object.keys(EXPRESSIONS).map((name) => make("b", {}, name)));
  $("table").append(make("b", {}, AVATAR));
  for (const expression of Object.keys(EXPRESSIONS)) {
    const button = make("button", { type: "button", class: "words", title: `${AVATAR}, ${expression}`, "aria-pressed": "false" }, expression);
    button.addEventListener("click", () => choose(AVATAR, expression));
    $("table").append(button);
    avatarButtons.push({ look: AVATAR, expression, button });
  }
  for (const name of ["own", ...LOOKS]) {
    const look = await lookNamed(name).catch((error) => {
      $("wrong").hidden = false;
      $("wrong").textContent = error.message;
      return null;
    });
    if (!look) continue;
    $("table").append(make("b", {}, name));
    for (const expression of Object.keys(EXPRESSIONS)) {
      const svg = shape("svg", { class: "face" });
      const button = make("button", { type: "button", title: `${name}, ${expression}`, "aria-pressed": "false" }, svg);
      button.addEventListener("click", () => choose(name, expression));
      $("table").append(button);
      const face = new Face(svg, cells.length + 2);
      const cell = { look: name, expression, button, face, numbers: vector(EXPRESSIONS[expression]), mood: moodOf(expression) };
      face.wear(look);
      face.draw(cell.numbers, 0, cell.mood);
      cells.push(cell);
    }
  }
}

let turn = 0;
function picture() {
  requestAnimationFrame(picture);
  const start = performance.now(), time = start / 1000;
  const asleep = chosen.expression === "asleep" ? { asleep: 1 } : {};
  if (avatar && !$("avatar").hidden) avatar.draw(blinking(vector(values), time, 1), time);
  else if (big.look) big.draw(blinking(vector(values), time, 1), time, asleep);
  for (let n = 0; n < cells.length && performance.now() - start < BUDGET_MS; n++) {
    const cell = cells[turn++ % cells.length];
    cell.face.draw(blinking(cell.numbers, time, cell.face.seed), time, cell.mood);
  }
}

makeSliders();
await makeTable();
await choose(cells[0].look, "neutral");
// For tests and for the curious: what is drawn.
window.reactdiff = {
  cells: () => cells.map(({ look, expression, face }) => ({ look, expression, drawn: face.measure() })),
  big: () => big.measure(),
  avatar: () => avatar && !$("avatar").hidden ? avatar.measure() : null,
};
requestAnimationFrame(picture);
