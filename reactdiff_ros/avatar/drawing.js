// As much of a document as the page's drawing needs, for a script engine without a browser: elements that keep their
// attributes and can be written out as SVG. `modules` takes what each file of the page exports.

const modules = {};

class Node {
  constructor(tagName) {
    Object.assign(this, { tagName, attributes: {}, children: [], variables: {} });
    this.style = { setProperty: (name, value) => { this.variables[name] = value; } };
  }
  setAttribute(name, value) { this.attributes[name] = String(value); }
  getAttribute(name) { return this.attributes[name] ?? null; }
  removeAttribute(name) { delete this.attributes[name]; }
  append(...nodes) { this.children.push(...nodes); }
  replaceChildren(...nodes) { this.children = nodes; }
  get id() { return this.attributes.id ?? ""; }
  get firstChild() { return this.children[0] ?? null; }
  text() {
    const given = Object.entries(this.attributes).map(([name, value]) => ` ${name}="${value.replace(/[&<"]/g, (c) => `&#${c.charCodeAt(0)};`)}"`);
    return `<${this.tagName}${given.join("")}>${this.children.map((node) => node.text()).join("")}</${this.tagName}>`;
  }
}

const document = { createElementNS: (_, tag) => new Node(tag), createElement: (tag) => new Node(tag) };
class ResizeObserver { observe() {} }

/** A face of `width` by `height` px in this look (with every key); `draw` returns each picture as SVG. */
function easel(look, width, height, seed) {
  const svg = Object.assign(new Node("svg"), { clientWidth: width, clientHeight: height });
  const face = new modules.draw.Face(svg, seed);
  face.wear(look);
  face.fit();
  return {
    draw(coefficients, time, mood) {
      face.draw(coefficients, time, mood);
      const [x, y, w, h] = svg.getAttribute("viewBox").split(" ").map(Number);
      const stops = [[0, "--ground"], [0.85, "--ground-edge"]].map(([at, name]) => `<stop offset="${at}" stop-color="${svg.variables[name]}"/>`);
      return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="${x} ${y} ${w} ${h}">`
        + `<defs><radialGradient id="ground" cx=".5" cy=".42" r=".75">${stops.join("")}</radialGradient></defs>`
        + `<rect x="${x}" y="${y}" width="${w}" height="${h}" fill="url(#ground)"/>${svg.children.map((node) => node.text()).join("")}</svg>`;
    },
  };
}
