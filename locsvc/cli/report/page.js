"use strict";
// Moves the map of squares: zooms, pans, shows what a square holds, draws the graticule and the scale bar.
const held = document.getElementById("squares");
if (held) {
  const { side, x0, y0, squares, near, whole } = JSON.parse(held.textContent);
  const frame = document.querySelector(".frame"), svg = frame.querySelector(".map"), tip = frame.querySelector(".tip"), grid = svg.querySelector(".graticule");
  const SVG = svg.namespaceURI, RAD = Math.PI / 180, AROUND_M = 2 * Math.PI * 6371008.8;
  const count = new Map();
  for (let i = 0; i < squares.length; i += 3) count.set(`${squares[i]},${squares[i + 1]}`, squares[i + 2]);
  const lat = (y) => Math.atan(Math.sinh(Math.PI * (1 - 2 * (y + y0) / side))) / RAD;
  const row = (deg) => side * (0.5 - Math.asinh(Math.tan(deg * RAD)) / (2 * Math.PI)) - y0;
  const lon = (x) => (x + x0) / side * 360 - 180;
  const col = (deg) => (deg + 180) / 360 * side - x0;
  const nice = (value) => { const p = 10 ** Math.floor(Math.log10(value)); return [5, 2, 1].map((n) => n * p).find((n) => n <= value) || p; };
  const steps = [60, 30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];
  const named = (deg, digits, minus, plus) => `${Math.abs(deg).toFixed(digits)}°${Math.abs(deg) < 1e-9 || Math.abs(deg) > 179.9999 ? "" : deg < 0 ? ` ${minus}` : ` ${plus}`}`;
  let box = near, shown = near;

  function draw() {
    const w = svg.clientWidth, h = svg.clientHeight, k = Math.min(w / (box[2] - box[0]), h / (box[3] - box[1]));
    const mx = (box[0] + box[2]) / 2, my = (box[1] + box[3]) / 2;
    shown = [mx - w / k / 2, my - h / k / 2, mx + w / k / 2, my + h / k / 2];
    svg.setAttribute("viewBox", `${shown[0]} ${shown[1]} ${w / k} ${h / k}`);
    graticule(w, h, k);
    const perM = k * side / (AROUND_M * Math.cos(lat(shown[3] - 20 / k) * RAD)), m = nice(120 / perM);
    frame.querySelector(".scale span").textContent = m < 1000 ? `${m} m` : `${m / 1000} km`;
    frame.querySelector(".scale i").style.width = `${m * perM}px`;
  }
  function graticule(w, h, k) {
    grid.textContent = "";
    const across = (shown[2] - shown[0]) / side * 360, step = steps.find((s) => s <= across / 3.5) || 0.001;
    const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
    const add = (kind, attributes, text) => {
      const made = document.createElementNS(SVG, kind);
      for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
      if (text) made.textContent = text;
      grid.append(made);
    };
    const size = 10.5 / k, line = { "vector-effect": "non-scaling-stroke" };
    for (let at = Math.ceil(lon(shown[0]) / step) * step; at < lon(shown[2]); at += step) {
      add("path", { d: `M${col(at)},${shown[1]}V${shown[3]}`, ...line });
      const turned = ((at + 180) % 360 + 360) % 360 - 180;
      add("text", { x: col(at), y: shown[3] - 5 / k, "text-anchor": "middle", style: `font-size:${size}px;stroke-width:${3 / k}` }, named(turned, digits, "W", "E"));
    }
    for (let at = Math.ceil(Math.max(lat(shown[3]), -85) / step) * step; at < Math.min(lat(shown[1]), 85); at += step) {
      add("path", { d: `M${shown[0]},${row(at)}H${shown[2]}`, ...line });
      add("text", { x: shown[2] - 6 / k, y: row(at) - 3 / k, "text-anchor": "end", style: `font-size:${size}px;stroke-width:${3 / k}` }, named(at, digits, "S", "N"));
    }
  }
  const inside = (event) => {
    const r = svg.getBoundingClientRect(), k = (shown[2] - shown[0]) / r.width;
    return [shown[0] + (event.clientX - r.left) * k, shown[1] + (event.clientY - r.top) * k, r];
  };
  function zoom(by, x = (shown[0] + shown[2]) / 2, y = (shown[1] + shown[3]) / 2) {
    const wide = (shown[2] - shown[0]) / by;
    if (wide > 2 * side || wide < 0.5) return;
    box = [x - (x - shown[0]) / by, y - (y - shown[1]) / by, x + (shown[2] - x) / by, y + (shown[3] - y) / by];
    draw();
  }
  const show = (to) => { box = to; draw(); };
  frame.querySelectorAll("[data-do]").forEach((b) => b.addEventListener("click", () => {
    if (b.dataset.do === "+") zoom(1.6); else if (b.dataset.do === "-") zoom(1 / 1.6); else show(b.dataset.do === "all" ? whole : near);
  }));
  document.querySelectorAll("li[data-box]").forEach((li) => {
    const go = () => { show(li.dataset.box.split(" ").map(Number)); };
    li.addEventListener("click", go);
    li.addEventListener("keydown", (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); go(); } });
  });
  svg.addEventListener("wheel", (e) => { e.preventDefault(); const [x, y] = inside(e); zoom(1.2 ** (-Math.sign(e.deltaY)), x, y); }, { passive: false });
  svg.addEventListener("keydown", (e) => {
    const step = (shown[2] - shown[0]) / 8, move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[e.key];
    if (move) { e.preventDefault(); show([shown[0] + move[0], shown[1] + move[1], shown[2] + move[0], shown[3] + move[1]]); }
    else if (e.key === "+" || e.key === "=") zoom(1.6); else if (e.key === "-") zoom(1 / 1.6);
  });
  let from = null;
  svg.addEventListener("pointerdown", (e) => { from = [e.clientX, e.clientY, shown]; svg.setPointerCapture(e.pointerId); svg.classList.add("drag"); });
  svg.addEventListener("pointerup", () => { from = null; svg.classList.remove("drag"); });
  svg.addEventListener("pointermove", (e) => {
    if (from) {
      const k = (shown[2] - shown[0]) / svg.clientWidth, dx = (e.clientX - from[0]) * k, dy = (e.clientY - from[1]) * k;
      show([from[2][0] - dx, from[2][1] - dy, from[2][2] - dx, from[2][3] - dy]);
      return;
    }
    const [x, y, r] = inside(e), n = count.get(`${Math.floor(x)},${Math.floor(y)}`);
    tip.hidden = !n;
    if (n) {
      const turned = ((lon(Math.floor(x) + 0.5) + 180) % 360 + 360) % 360 - 180;
      tip.textContent = `${n.toLocaleString("en")} ${n > 1 ? "answers" : "answer"} round ${lat(Math.floor(y) + 0.5).toFixed(4)}, ${turned.toFixed(4)}`;
      tip.style.left = `${Math.min(e.clientX - r.left + 12, r.width - tip.offsetWidth - 4)}px`;
      tip.style.top = `${Math.max(e.clientY - r.top - 34, 2)}px`;
    }
  });
  svg.addEventListener("pointerleave", () => { tip.hidden = true; });
  new ResizeObserver(draw).observe(svg);
  draw();
}
