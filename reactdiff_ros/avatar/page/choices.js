// Styles, gestures and looks to choose, each with a face. Styles and gestures are for pages of the robot's own machine:
// the server offers none to others.

import { Face } from "./draw.js";
import { make, shape } from "./elements.js";
import { vector } from "./expressions.js";
import { lookOr } from "./looks.js";
import { post } from "./post.js";

const TITLES = { look: "Look", style: "Style", gesture: "Gesture", compare: "Compare with" };
const WAIT_MS = 3000;

export class Choices {
  /** `looks`: names; `wear(name)` is called with the one that is chosen. */
  constructor(root, looks, wear) {
    Object.assign(this, { root, wear, buttons: [], asked: false, drawing: null });
    this.said = make("p", { role: "status" }, "");
    this.offer({ look: Object.fromEntries(looks.map((name) => [name, { mouthSmileLeft: 0.3, mouthSmileRight: 0.3 }])) });
    root.append(this.said);
  }

  /** Called while the panel is open: `offered`: whether the server has styles and gestures; `chosen`: names by kind. */
  async show(offered, chosen) {
    for (const { kind, name, button } of this.buttons) {
      if (kind !== "gesture") button.setAttribute("aria-pressed", String(name === chosen[kind]));
    }
    if (!chosen.look) return; // nothing is worn yet
    this.drawing ??= this.draw(chosen.look);
    if (!offered || this.asked) return;
    this.asked = true;
    const choices = await fetch("api/choices").then((answer) => answer.json()).catch(() => ({}));
    await this.drawing;
    this.offer(choices);
    this.root.append(this.said);
    this.drawing = this.draw(chosen.look);
  }

  offer(choices) {
    for (const [kind, faces] of Object.entries(choices)) {
      const row = make("div", { class: "choices" });
      for (const [name, face] of Object.entries(faces)) {
        const svg = shape("svg", { class: "face", "aria-hidden": "true" });
        const button = make("button", { type: "button" }, svg, make("span", {}, name.replaceAll("_", " ")));
        button.addEventListener("click", () => this.choose(kind, name));
        row.append(button);
        this.buttons.push({ kind, name, face, svg, button });
      }
      this.root.append(make("h2", {}, TITLES[kind] ?? kind), row);
    }
  }

  /** The faces that are not drawn yet, one a picture, so that the robot's own face is not held up. */
  async draw(look) {
    for (const choice of this.buttons.filter((each) => !each.drawn)) {
      await new Promise(requestAnimationFrame);
      choice.drawn = new Face(choice.svg);
      const worn = choice.kind === "look" ? choice.name : look;
      choice.drawn.wear((await lookOr(worn))[0]);
      choice.drawn.draw(vector(choice.face), 0);
    }
  }

  async choose(kind, name) {
    if (kind === "look") return this.wear(name);
    const answer = await post(`api/choose/${kind}/${name}`, {}, WAIT_MS).catch(() => ({ done: false, message: "The robot does not answer." }));
    this.said.textContent = answer.done ? "" : answer.message;
  }
}
