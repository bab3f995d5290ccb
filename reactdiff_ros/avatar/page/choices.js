// Styles and gestures to choose, for pages of the robot's own machine: the server offers none to others.

import { make } from "./elements.js";
import { post } from "./post.js";

const TITLES = { style: "Style", gesture: "Gesture" };
const WAIT_MS = 3000;

export class Choices {
  constructor(root) {
    this.root = root;
    this.buttons = [];
    this.offered = "";
  }

  /** `choices`: names by kind; `style`: the one in force. */
  show(choices = {}, style = "") {
    const offered = JSON.stringify(choices);
    this.root.hidden = !Object.values(choices).some((names) => names.length);
    if (offered !== this.offered) this.offer(choices);
    this.offered = offered;
    for (const { kind, name, button } of this.buttons) {
      if (kind === "style") button.setAttribute("aria-pressed", String(name === style));
    }
  }

  offer(choices) {
    this.buttons = [];
    this.said = make("p", { role: "status" }, "");
    const groups = Object.entries(choices).flatMap(([kind, names]) => {
      const row = make("div", { class: "choices" });
      for (const name of names) {
        const button = make("button", { type: "button" }, name.replaceAll("_", " "));
        button.addEventListener("click", () => this.choose(kind, name));
        row.append(button);
        this.buttons.push({ kind, name, button });
      }
      return [make("h2", {}, TITLES[kind] ?? kind), row];
    });
    this.root.replaceChildren(...groups, this.said);
  }

  async choose(kind, name) {
    const answer = await post(`api/choose/${kind}/${name}`, {}, WAIT_MS).catch(() => ({ done: false, message: "The robot does not answer." }));
    this.said.textContent = answer.done ? "" : answer.message;
  }
}
