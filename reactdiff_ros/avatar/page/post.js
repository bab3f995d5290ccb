// Commands to the server, and the operator's token that they bring.

const NAME = "robot-token";

/** What the server answered: { done, message }. Throws where there is no server, or none that answers in `ms`. */
export async function post(address, body, ms) {
  const answer = await fetch(address, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), cache: "no-store", keepalive: true,
    signal: AbortSignal.timeout?.(ms),
  });
  const text = await answer.text();
  try {
    const { done, message } = JSON.parse(text);
    return { done: done === true, message: String(message) };
  } catch {
    return { done: false, message: text.slice(0, 300) || `error ${answer.status}` };
  }
}

/** Send a command with the token of `field`, which is kept where it was right; `box` shows the answer. */
export async function command(address, field, box, ms) {
  const token = field.value.trim();
  const show = (text, bad) => Object.assign(box, { textContent: text, className: bad ? "bad" : "" });
  show("…");
  try {
    const { done, message } = await post(address, { token }, ms);
    show(message, !done);
    if (done) keep(token);
  } catch {
    show("The page has no connection to the robot.", true);
  }
}

/** The token that was right before; without storage it is typed again after a reload. */
export function kept() {
  try {
    return sessionStorage.getItem(NAME) ?? "";
  } catch {
    return "";
  }
}

function keep(token) {
  try {
    sessionStorage.setItem(NAME, token);
  } catch {
    // As above.
  }
}
