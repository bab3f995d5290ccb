// The screen of a phone or a tablet stays on while someone talks to the face.

let lock = null;
let asking = false;

/** Call again and again: browsers take the lock back when the page is hidden. */
export async function keepAwake(wanted) {
  if (!wanted) {
    lock?.release().catch(() => {});
    lock = null;
  } else if (!lock && !asking && document.visibilityState === "visible" && navigator.wakeLock) {
    asking = true;
    lock = await navigator.wakeLock.request("screen").catch(() => null);
    lock?.addEventListener("release", () => (lock = null));
    asking = false;
  }
}
