// The operator's part of visitors: who is seen, who waits, and the button that ends a visit.

import { command, kept } from "./post.js";

const PASS_MS = 8000;
const $ = (id) => document.getElementById(id);

/** What the section says and its button: { sentence, button }; null: this robot takes no visitors. */
export function seat({ visitor = "", visitors_waiting: waiting = 0 } = {}) {
  if (!visitor) return null;
  if (visitor !== "taken") return { sentence: "No visitor's camera is in use.", button: "" };
  const line = waiting === 1 ? "1 visitor waits." : waiting ? `${waiting} visitors wait.` : "No one waits.";
  return { sentence: `A visitor's camera is in use. ${line}`, button: waiting ? "Next visitor" : "End the visit" };
}

export class Seat {
  constructor() {
    $("seat-token").value = kept();
    $("seat-form").addEventListener("submit", (event) => {
      event.preventDefault();
      command("api/visitor/pass", $("seat-token"), $("seat-answer"), PASS_MS);
    });
  }

  /** `shared`: whether others may open the page, so that the token is asked for. */
  show(graph, shared) {
    const now = seat(graph);
    $("seat").hidden = !now;
    if (!now) return;
    if ($("seat-state").textContent !== now.sentence) $("seat-state").textContent = now.sentence;
    $("seat-form").hidden = !now.button;
    $("seat-button").textContent = now.button;
    $("seat-token").hidden = !shared;
  }
}
