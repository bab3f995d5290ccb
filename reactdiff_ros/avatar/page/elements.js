// Elements made by name, attributes and text alone, never from HTML: the content security policy allows nothing else.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** An element of the page with what it holds: elements, or texts. */
export function make(tag, attributes = {}, ...children) {
  const node = fill(document.createElement(tag), attributes);
  node.append(...children);
  return node;
}

/** An element with a class and a text. */
export const words = (tag, className = "", text = "") => make(tag, className ? { class: className } : {}, text);

/** A shape of a drawing, on its own. */
export const shape = (tag, attributes = {}) => fill(document.createElementNS(SVG, tag), attributes);

/** A shape as the last one of `parent`. */
export function add(parent, tag, attributes = {}) {
  const node = shape(tag, attributes);
  parent.append(node);
  return node;
}
