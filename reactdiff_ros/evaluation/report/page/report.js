"use strict";
// Time lines: curves and events of speaker and listener, drawn as SVG, with zoom, hover and jumps. No library.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const NS = "http://www.w3.org/2000/svg";
  const GUTTER = 104, RIGHT = 8;
  // Lanes from above: top and height in pixels.
  const LANES = { overview: [2, 14], speech: [24, 14], speaker: [44, 54], listener: [104, 54], heads: [164, 70] };
  const AXIS = 238, HEIGHT = 262;

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const clock = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(1).padStart(4, "0")}`;
  const node = (name, attributes, parent) => {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    parent.appendChild(made);
    return made;
  };
  const text = (words, attributes, parent) => { node("text", attributes, parent).textContent = words; };
  const decoded = (face) => face && { ...face, smile: bytes(face.smile), pitch: bytes(face.pitch) };

  // A curve as a path: as it is where there is room, else the lowest and highest value of each pixel.
  function path(curve, view, width, up) {
    const first = Math.max(Math.floor(view[0] * data.rate), 0);
    const last = Math.min(Math.ceil(view[1] * data.rate), curve.length - 1);
    const x = (f) => GUTTER + (f / data.rate - view[0]) / (view[1] - view[0]) * width;
    const points = [];
    const each = Math.max(Math.floor((last - first) / (2 * width)), 1);
    for (let f = first; f <= last; f += each) {
      let low = f, high = f;
      for (let g = f; g < Math.min(f + each, last + 1); g++) {
        if (curve[g] < curve[low]) low = g;
        if (curve[g] > curve[high]) high = g;
      }
      for (const g of low === high ? [low] : [Math.min(low, high), Math.max(low, high)]) points.push([x(g), up(curve[g] / 255)]);
    }
    return points;
  }
  const joined = (points) => points.map((p, i) => `${i ? "L" : "M"}${p[0].toFixed(1)} ${p[1].toFixed(1)}`).join("");

  class Timeline {
    constructor(element) {
      this.item = data.items[+element.dataset.index];
      this.plot = element.querySelector(".plot");
      this.select = element.querySelector("select");
      this.speaker = decoded(this.item.speaker);
      this.listeners = {};
      for (const system of data.systems) if (this.item.listeners[system.name]) {
        this.listeners[system.name] = decoded(this.item.listeners[system.name]);
        this.select.add(new Option(system.label, system.name));
      }
      this.whole = [0, Math.max(this.item.seconds, 0.5)];
      this.view = [...this.whole];
      this.photos = [...element.querySelectorAll(".shot")].map((shot) => {
        shot.addEventListener("click", () => this.jump(+shot.dataset.seconds));
        shot.addEventListener("pointerenter", () => this.point(+shot.dataset.seconds));
        return +shot.dataset.seconds;
      });
      this.select.addEventListener("change", () => this.draw());
      element.querySelectorAll("[data-do]").forEach((button) => button.addEventListener("click", () => this.act(button.dataset.do)));
      this.listen();
      new ResizeObserver(() => this.draw()).observe(this.plot);
      this.draw();
    }

    get listener() { return this.listeners[this.select.value]; }
    get width() { return Math.max(this.plot.clientWidth - GUTTER - RIGHT, 50); }
    x(s) { return GUTTER + (s - this.view[0]) / (this.view[1] - this.view[0]) * this.width; }
    at(x) { return this.view[0] + (x - GUTTER) / this.width * (this.view[1] - this.view[0]); }

    show(from, to) {
      const least = 1, whole = this.whole[1];
      let length = Math.min(Math.max(to - from, Math.min(least, whole)), whole);
      const start = Math.min(Math.max(from, 0), whole - length);
      this.view = [start, start + length];
      this.draw();
    }
    zoom(factor, around) {
      const middle = around ?? (this.view[0] + this.view[1]) / 2;
      this.show(middle - (middle - this.view[0]) * factor, middle + (this.view[1] - middle) * factor);
    }
    act(what) { what === "all" ? this.show(...this.whole) : this.zoom(what === "in" ? 0.5 : 2); }
    jump(seconds) {
      const half = Math.min(4, this.whole[1] / 2);
      this.show(seconds - half, seconds + half);
      this.point(seconds);
    }

    listen() {
      const local = (event) => event.clientX - this.plot.getBoundingClientRect().left;
      let from = null;
      this.plot.addEventListener("pointerdown", (event) => {
        if (event.button || local(event) < GUTTER) return;
        from = local(event);
        this.plot.setPointerCapture(event.pointerId);
      });
      this.plot.addEventListener("pointermove", (event) => {
        const x = local(event);
        if (from !== null) {
          this.box.setAttribute("x", Math.max(Math.min(from, x), GUTTER));
          this.box.setAttribute("width", Math.abs(Math.max(x, GUTTER) - from));
        }
        this.point(this.at(Math.max(x, GUTTER)));
      });
      this.plot.addEventListener("pointerup", (event) => {
        if (from === null) return;
        const x = Math.max(local(event), GUTTER), begun = from;
        from = null;
        this.box.setAttribute("width", 0);
        if (Math.abs(x - begun) > 6) this.show(this.at(Math.min(x, begun)), this.at(Math.max(x, begun)));
      });
      this.plot.addEventListener("pointerleave", () => this.point(null));
      this.plot.addEventListener("dblclick", () => this.show(...this.whole));
      this.plot.addEventListener("wheel", (event) => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        this.zoom(Math.exp(event.deltaY * 0.004), this.at(local(event)));
      }, { passive: false });
      this.plot.addEventListener("keydown", (event) => {
        const step = (this.view[1] - this.view[0]) * 0.2;
        if (event.key === "ArrowLeft") this.show(this.view[0] - step, this.view[1] - step);
        else if (event.key === "ArrowRight") this.show(this.view[0] + step, this.view[1] + step);
        else if (event.key === "+" || event.key === "=") this.zoom(0.5);
        else if (event.key === "-") this.zoom(2);
        else if (event.key === "0") this.show(...this.whole);
        else return;
        event.preventDefault();
      });
    }

    point(seconds) {
      const inside = seconds !== null && seconds >= this.view[0] && seconds <= this.view[1];
      this.cursor.setAttribute("visibility", inside ? "visible" : "hidden");
      this.tip.hidden = !inside;
      if (!inside) return;
      const x = this.x(seconds), frame = Math.round(seconds * data.rate);
      this.cursor.setAttribute("x1", x);
      this.cursor.setAttribute("x2", x);
      const described = (face) => face && frame < face.smile.length
        ? `smile ${(face.smile[frame] / 255).toFixed(2)}, head ${((face.pitch[frame] / 255 - 0.5) * 2 * data.pitchRange).toFixed(0)}°` : "–";
      const talks = this.item.heard ? this.item.speech.some(([a, b]) => seconds >= a && seconds < b) ? ", talks" : ", silent" : "";
      this.tip.replaceChildren();
      for (const line of [clock(seconds), `Speaker ${described(this.speaker)}${talks}`, `Listener ${described(this.listener)}`]) {
        this.tip.append(line, document.createElement("br"));
      }
      const room = x + 14 + this.tip.offsetWidth < this.plot.clientWidth;
      this.tip.style.left = `${room ? x + 12 : x - 12 - this.tip.offsetWidth}px`;
    }

    draw() {
      const width = this.width;
      const svg = document.createElementNS(NS, "svg");
      svg.setAttribute("viewBox", `0 0 ${GUTTER + width + RIGHT} ${HEIGHT}`);
      svg.setAttribute("role", "img");
      this.names(svg);
      const clip = node("clipPath", { id: `clip-${this.item.id.replace(/\W/g, "-")}-${data.items.indexOf(this.item)}` }, svg);
      node("rect", { x: GUTTER, y: 0, width, height: HEIGHT }, clip);
      const inside = node("g", { "clip-path": `url(#${clip.id})` }, svg);
      this.axis(svg, inside);
      this.speech(inside);
      if (this.speaker) this.smiles(inside, this.speaker, "speaker");
      if (this.listener) this.smiles(inside, this.listener, "listener");
      this.heads(inside);
      this.overview(svg);
      this.box = node("rect", { class: "select", x: 0, y: LANES.speech[0], width: 0, height: AXIS - LANES.speech[0] }, svg);
      this.cursor = node("line", { class: "cursor", y1: LANES.speech[0], y2: AXIS, visibility: "hidden" }, svg);
      this.tip = document.createElement("div");
      this.tip.className = "tip";
      this.tip.hidden = true;
      this.plot.replaceChildren(svg, this.tip);
    }

    names(svg) {
      const names = { speech: "Speaker talks", speaker: "Speaker smiles", listener: "Listener smiles", heads: "Heads, nods" };
      for (const [lane, name] of Object.entries(names)) {
        const [top, height] = LANES[lane];
        node("rect", { class: "lane", x: GUTTER, y: top, width: this.width, height, rx: 3 }, svg);
        text(name, { class: "gutter", x: GUTTER - 10, y: top + height / 2 + 4, "text-anchor": "end" }, svg);
      }
    }

    axis(svg, inside) {
      const span = this.view[1] - this.view[0];
      const most = Math.max(this.width / 80, 2);
      const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600].find((s) => span / s <= most) ?? 1200;
      for (let s = Math.ceil(this.view[0] / step) * step; s <= this.view[1] + 1e-6; s += step) {
        const x = this.x(s);
        node("line", { class: "zero", x1: x, x2: x, y1: LANES.speech[0], y2: AXIS }, inside);
        const anchor = x < GUTTER + 12 ? "start" : x > GUTTER + this.width - 12 ? "end" : "middle";
        text(step < 1 ? clock(s) : clock(s).replace(/\.0$/, ""), { class: "tick", x, y: AXIS + 14, "text-anchor": anchor }, svg);
      }
      for (const s of this.photos) if (s >= this.view[0] && s <= this.view[1]) {
        node("path", { class: "photo", d: `M${this.x(s) - 4} ${HEIGHT}l4 -6l4 6z` }, svg);
      }
    }

    speech(inside) {
      const [top, height] = LANES.speech;
      for (const [a, b] of this.item.speech) {
        node("rect", { class: "speech", x: this.x(a), y: top + 2, width: Math.max(this.x(b) - this.x(a), 1), height: height - 4, rx: 2 }, inside);
      }
      if (!this.item.heard) text("no sound", { class: "tick", x: GUTTER + 6, y: top + 11 }, inside);
    }

    smiles(inside, face, who) {
      const [top, height] = LANES[who], floor = top + height - 1;
      const points = path(face.smile, this.view, this.width, (v) => floor - v * (height - 8));
      if (points.length) {
        node("path", { class: `${who}-area`, d: `${joined(points)}L${points.at(-1)[0]} ${floor}L${points[0][0]} ${floor}z` }, inside);
        node("path", { class: `${who}-line`, d: joined(points) }, inside);
      }
      for (const [a, b] of face.events.smiles) {
        node("rect", { class: `${who}-mark`, x: this.x(a), y: top, width: Math.max(this.x(b) - this.x(a), 1.5), height: 4, rx: 2 }, inside);
      }
    }

    heads(inside) {
      const [top, height] = LANES.heads, middle = top + height / 2;
      node("line", { class: "zero", x1: GUTTER, x2: GUTTER + this.width, y1: middle, y2: middle }, inside);
      // Down is a head that looks down.
      const up = (v) => middle + (v - 0.5) * (height - 20);
      for (const [face, who] of [[this.speaker, "speaker"], [this.listener, "listener"]]) if (face) {
        node("path", { class: `${who}-line`, d: joined(path(face.pitch, this.view, this.width, up)) }, inside);
        for (const [a, b] of face.events.nods) {
          const x = this.x((a + b) / 2), y = who === "listener" ? top + 9 : top + height - 9, way = who === "listener" ? 1 : -1;
          node("path", { class: `${who}-mark`, d: `M${x - 5} ${y - 7 * way}h10l-5 ${8 * way}z` }, inside);
        }
      }
    }

    overview(svg) {
      const [top, height] = LANES.overview, whole = this.whole;
      if (this.view[0] <= whole[0] + 1e-6 && this.view[1] >= whole[1] - 1e-6) return;
      const group = node("g", {}, svg);
      node("rect", { class: "lane", x: GUTTER, y: top, width: this.width, height, rx: 3 }, group);
      const up = (v) => top + height - v * height;
      for (const [face, who] of [[this.speaker, "speaker"], [this.listener, "listener"]]) if (face) {
        node("path", { class: `${who}-line`, d: joined(path(face.smile, whole, this.width, up)) }, group);
      }
      const x = (s) => GUTTER + s / whole[1] * this.width;
      node("rect", { class: "view", x: x(this.view[0]), y: top, width: Math.max(x(this.view[1]) - x(this.view[0]), 3), height, rx: 2 }, group);
      text(clock(this.view[0]) + " – " + clock(this.view[1]), { class: "gutter", x: GUTTER - 10, y: top + 11, "text-anchor": "end" }, group);
    }
  }

  const lines = [...document.querySelectorAll(".timeline")].map((element) => new Timeline(element));
  document.querySelectorAll("[data-timeline]").forEach((button) => button.addEventListener("click", () => {
    const line = lines[+button.dataset.timeline];
    line.plot.closest(".timeline").scrollIntoView({ block: "center" });
    line.jump(+button.dataset.seconds);
  }));
  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
})();
