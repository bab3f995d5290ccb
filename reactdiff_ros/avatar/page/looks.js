// The looks: each is a small file in looks/ that says what differs from looks/keys.json, where every key has its value
// for a look that does not give it. All looks are drawn by the same code from the same 58 numbers.

export const LOOKS = ["soft", "paper", "robot", "night", "pixel", "eyes", "cub"];
const BASE = "soft";
let keys = null;
const known = new Map();

async function json(name) {
  const answer = await fetch(`looks/${name}.json`, { cache: "no-cache" });
  if (!answer.ok) throw new Error((await answer.text()).trim().slice(0, 300));
  return answer.json();
}

/** A look with every key; `given` is what a look's file holds. */
export async function complete(name, given) {
  keys ??= await json("keys");
  const look = { name };
  for (const [part, entries] of Object.entries(keys)) {
    look[part] = Object.fromEntries(Object.entries(entries).map(([key, [value]]) => [key, given[part]?.[key] ?? value]));
  }
  return look;
}

/**
 * The whole look of that name. "own" is the file that the face was started with; null: it was started without one.
 * Throws the sentence that says what is wrong with a file.
 */
export async function lookNamed(name) {
  if (!known.has(name)) {
    const given = await json(name);
    known.set(name, given && (await complete(name, given)));
  }
  return known.get(name);
}

/** The look of that name, and the sentence that says why it is another one; empty: it is the one. */
export async function lookOr(name) {
  try {
    return [(await lookNamed(name)) ?? (await lookNamed(BASE)), ""];
  } catch (error) {
    return [await lookNamed(BASE), error.message];
  }
}
