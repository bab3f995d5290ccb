// What the robot does or lacks, from what the server reports: the moods that the face shows (life.js), and one sentence
// for the panel. Pure, but for what it remembers of the last seconds.

const SLEEP_S = 45; // no one there: it looks around for that long, then sleeps
const LOST_S = 2.5; // without any face from the robot
const TURN_S = 1.2, PAUSE_S = 0.3, THINK_S = 2.2; // after so much speech a pause is a thought
const INVITATION = "To be seen, press the button \u201cUse my camera\u201d.";

/** Loudness in dB of full scale as 0 to 1. */
const level = (dbfs) => Math.min(1, Math.max(0, (Number(dbfs ?? -100) + 62) / 40));

export class Presence {
  constructor() {
    this.since = {}; // when each thing began, in s
  }

  /** How long `what` has been so, in s; 0: it is not. */
  lasting(what, is, now) {
    if (!is) delete this.since[what];
    else this.since[what] ??= now;
    return is ? now - this.since[what] : 0;
  }

  /** { state, mood, sentence } at `now` in s, from the server's status and the page's own state. */
  at(graph = {}, own, now) {
    const lost = this.lasting("lost", !own.fresh, now);
    if (!own.fresh) return { state: "asleep", mood: { asleep: lost > LOST_S ? 1 : 0 }, sentence: "No face comes from the robot." };
    const { speaker, listener = {}, stages = {} } = graph;
    if (!speaker) return { state: "attentive", mood: {}, sentence: "" };
    const blind = speaker.camera !== true, clip = "clip_node" in stages, invited = graph.visitor === "free";
    const fault = (name, value) => Object.values(stages).some((s) => s[name] === value && !s.silent);
    const alone = this.lasting("alone", speaker.present !== true && own.mode !== "listening", now);
    if (blind && own.mode !== "listening") return { state: "asleep", mood: { asleep: 1 }, sentence: invited ? INVITATION : "No camera: I see no one." };
    const dark = fault("picture_fault", "blank"), deaf = !clip && (speaker.microphone === false || fault("sound_fault", "silent"));
    const mood = { squinting: dark ? 1 : 0, deaf: deaf ? 1 : 0 };
    const sentence = dark ? "It is too dark to see you, or the camera is covered." : deaf ? "No sound: the microphone is mute or missing."
      : blind ? (invited ? INVITATION : "No camera: I follow your voice alone.") : "";
    if (alone && !dark) {
      const asleep = alone > SLEEP_S;
      return { state: asleep ? "asleep" : "searching", mood: { ...mood, [asleep ? "asleep" : "searching"]: 1 }, sentence: sentence || "No one is here." };
    }
    const state = this.turn(speaker, listener, now);
    return { state: dark ? "squinting" : deaf ? "deaf" : state, sentence,
      mood: { ...mood, ...(state === "attentive" ? {} : { [state]: 1 }), level: state === "hearing" ? level(speaker.loudness_dbfs) : 0 } };
  }

  /** Who has the floor: hearing, thinking, speaking or attentive. */
  turn(speaker, listener, now) {
    const { said = 0, heard = -Infinity } = this;
    const speaks = speaker.speaking === true, speech = this.lasting("speech", speaks, now);
    if (speaks) Object.assign(this, { said: speech, heard: now });
    if (listener.turn === "robot_speaking") return "speaking";
    if (speaks) return "hearing";
    return said > TURN_S && now - heard > PAUSE_S && now - heard < THINK_S ? "thinking" : "attentive";
  }
}
