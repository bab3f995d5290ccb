// The visitor's button, what it asks first, and what is seen while camera and microphone are on.

import { Capture, hindrance } from "./capture.js";
import { Mesh } from "./mesh.js";
import { Recorder, download } from "./record.js";

const DEMO = "A demo plays. Press the button: it listens to you.";
const ALONE = "This face listens. Press the button, and it sees you.";
const METER_MS = 100;
const SEEN = "The robot sees and hears you", UNSEEN = "The robot does not see your face";
const element = (id) => document.getElementById(id);

export class Visitor {
  /**
   * `agreed` is called within the press with which a visitor agrees: from then on the page may play sound. `onChange` is
   * called when a visit begins or ends.
   */
  constructor(agreed = () => {}, onChange = () => {}) {
    this.free = "";
    this.onChange = onChange;
    const video = element("me").querySelector("video");
    this.mesh = new Mesh(element("me").querySelector("canvas"), video);
    this.capture = new Capture(video, () => this.refresh());
    this.recorder = null;
    element("record-button").addEventListener("click", () => this.record());
    element("consent").querySelector("b").textContent = location.host;
    element("visit-button").addEventListener("click", () => this.press());
    element("consent-yes").addEventListener("click", agreed);
    setInterval(() => (element("me").querySelector("meter").value = this.capture.loudness()), METER_MS);
    element("consent").addEventListener("close", () => element("consent").returnValue === "yes" && this.capture.start());
  }

  get live() {
    return this.capture.state === "live";
  }

  press() {
    if (this.capture.state !== "off") this.capture.stop();
    else if (hindrance()) this.capture.start();
    else element("consent").showModal();
  }

  /** Begin a video of both faces, or end it and offer it; the press is the consent, and nothing leaves the browser. */
  async record() {
    const recorder = this.recorder;
    const face = () => document.getElementById("avatar") ?? element("face");
    this.recorder = recorder ? null : new Recorder(this.capture.media, element("me").querySelector("video"), face);
    this.refresh();
    if (recorder) download((this.video = await recorder.stop()));
  }

  /** What is recorded now: who agrees must know. */
  recorded(sentence) {
    element("consent-stored").textContent = sentence || "Nothing is stored.";
  }

  /** The graph's status: `visitor` is "free" or "taken" by someone; empty: this robot takes no visitor's camera. */
  show({ visitor, speaker = {}, stages = {}, demo = "clip_node" in stages } = {}) {
    this.free = String(visitor ?? "");
    element("intro").textContent = demo ? DEMO : ALONE;
    element("me").querySelector("figcaption").textContent = speaker.present === false ? UNSEEN : SEEN;
    this.refresh();
  }

  refresh() {
    const { state, sentence } = this.capture;
    const others = this.free === "taken" && state === "off";
    element("visitor").hidden = !this.free && state === "off";
    element("visit-button").textContent = { off: others ? "Wait for my turn" : "Use my camera", live: "Stop my camera" }[state] ?? "Cancel";
    element("me").hidden = state !== "live";
    if (state !== "live" && this.recorder) this.record(); // a visit that ends does not lose its video
    element("record-button").hidden = state !== "live" || !globalThis.MediaRecorder;
    element("record-button").textContent = this.recorder ? "Stop and save the video" : "Record us both";
    element("record-button").setAttribute("aria-pressed", String(Boolean(this.recorder)));
    element("intro").hidden = state !== "off" || others;
    element("visit-sentence").textContent = sentence || (others ? "Another visitor's camera is in use." : "");
    if (document.documentElement.dataset.visit === state) return;
    document.documentElement.dataset.visit = state;
    this.mesh.clear();
    this.onChange();
  }
}
