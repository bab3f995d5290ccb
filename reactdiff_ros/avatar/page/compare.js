// A second face next to the first: the same person and the same noise, another style or policy.

import { Face } from "./draw.js";
import { lookOr } from "./looks.js";
import { Motion } from "./motion.js";

const element = (id) => document.getElementById(id);

export class Compare {
  /** `onChange` is called when a comparison begins or ends. */
  constructor(onChange) {
    Object.assign(this, { onChange, name: "", look: "", motion: new Motion(), face: null, last: -Infinity });
  }

  /** `name`: what it is compared with, empty: nothing; `first`: what the first face is; `look` of the first. */
  show(name = "", first = "", look = "") {
    element("name-first").textContent = first.replaceAll("_", " ");
    element("name-second").textContent = name.replaceAll("_", " ");
    if (name && look !== this.look) this.wear(look);
    if (name === this.name) return;
    this.name = name;
    this.motion.neutral(performance.now());
    for (const id of ["face-second", "name-first", "name-second"]) element(id).toggleAttribute("hidden", !name);
    document.documentElement.toggleAttribute("data-compared", Boolean(name));
    this.onChange();
  }

  async wear(look) {
    this.look = look;
    this.face ??= new Face(element("face-second"), 2);
    this.face.wear((await lookOr(look))[0]);
  }

  frame({ values }, now) {
    this.last = now;
    this.motion.frame(values, now);
  }

  draw(now, mood) {
    if (!this.name || !this.face?.look) return;
    if (now - this.last > 1000) this.motion.neutral(now);
    this.motion.at(now);
    this.face.draw(this.motion.shown, now / 1000, mood);
  }
}
