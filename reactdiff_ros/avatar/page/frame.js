// A page that draws what it is given and nothing else, for videos, galleries and tests: no line to the server, no clock.
//
//   await window.reactdiff.draw(coefficients, time, look, mood)
//
// coefficients  58 numbers, or { name: value } (a missing one is 0; "mouthSmile" sets both sides)
// time          seconds; pictures drawn in the order of their times are the same each time. After a jump by more than
//               0.5 s or backwards springs begin at rest, so a single picture needs no others before it.
// look          a name (see looks.js), or an object as in a look's file; none: the one before, at first "soft"
// mood          what the robot does or lacks, such as { hearing: 1, level: 0.5 }, { asleep: 1 } (see life.js)
//
// It resolves when the picture can be photographed, to what was drawn (Face.measure). The page fills its window with
// the face: set the window's size, then take the screenshot. `?seed=2` gives other small movements.

import { Face } from "./draw.js";
import { EXPRESSIONS, vector } from "./expressions.js";
import { complete, LOOKS, lookNamed } from "./looks.js";
import { NAMES } from "./rig.js";

const face = new Face(document.getElementById("face"), Number(new URLSearchParams(location.search).get("seed")) || 1);
let worn = null;

async function wear(look) {
  if (worn === look && worn !== null) return;
  face.wear(typeof look === "object" ? await complete(look.name ?? "own", look) : await lookNamed(look));
  document.documentElement.dataset.look = face.look.name;
  worn = look;
}

/** 58 numbers from numbers by name; a name without its side means both. */
function numbers(coefficients) {
  if (Array.isArray(coefficients)) return coefficients;
  const all = { ...coefficients };
  for (const [name, v] of Object.entries(coefficients)) if (!NAMES.includes(name)) all[name + "Left"] = all[name + "Right"] = v;
  return vector(all);
}

/** Draw without waiting until it is seen. */
async function measured(coefficients, time = 0, look = worn ?? "soft", mood = {}) {
  await wear(look);
  face.draw(numbers(coefficients), time, mood);
  return face.measure();
}

window.reactdiff = {
  async draw(...picture) {
    const drawn = await measured(...picture);
    await Face.painted();
    return drawn;
  },
  measured, names: NAMES, looks: LOOKS, expressions: EXPRESSIONS,
};
