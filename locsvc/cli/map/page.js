"use strict";
// Moves the drawing: fits, zooms, pans, keeps pins at their size, draws the graticule and the scale bar.
const EARTH_M = 6371008.8, RAD = Math.PI / 180, SVG = document.documentElement.namespaceURI && document.querySelector("svg") ? document.querySelector("svg").namespaceURI : "";
const wording = (m) => m < 999.5 ? `${Math.round(m)} m` : m < 9995 ? `${(m / 1000).toFixed(m % 1000 ? 1 : 0)} km` : `${Math.round(m / 1000)} km`;
const nice = (value) => { const p = 10 ** Math.floor(Math.log10(value)); return [5, 2, 1].map((n) => n * p).find((n) => n <= value) || p; };

function view(call) {
  const svg = call.querySelector(".map");
  if (!svg) return null;
  const frame = call.querySelector(".frame"), tip = call.querySelector(".tip");
  const worlds = svg.querySelectorAll(".world"), pins = [".here", ".mode", ".letter", ".name"].flatMap((kind) => [...svg.querySelectorAll(`.pin${kind}`)]), grid = svg.querySelector(".graticule");
  const lat0 = svg.dataset.lat * RAD, lon0 = svg.dataset.lon * RAD;
  const boxOf = (text) => text.split(" ").map(Number);
  let k = 1, tx = 0, ty = 0, box = boxOf(svg.dataset.near), moved = false;

  // Inverse and forward azimuthal equidistant projection, y south.
  const place = (x, y) => {
    const r = Math.hypot(x, y), c = r / EARTH_M;
    if (r < 1e-9) return [lat0 / RAD, lon0 / RAD];
    const lat = Math.asin(Math.cos(c) * Math.sin(lat0) - y / r * Math.sin(c) * Math.cos(lat0));
    const lon = lon0 + Math.atan2(x * Math.sin(c), r * Math.cos(lat0) * Math.cos(c) + y * Math.sin(lat0) * Math.sin(c));
    return [lat / RAD, lon / RAD];
  };
  const point = (lat, lon) => {
    const p = lat * RAD, l = lon * RAD - lon0, h = Math.sin((p - lat0) / 2) ** 2 + Math.cos(lat0) * Math.cos(p) * Math.sin(l / 2) ** 2;
    const c = 2 * Math.asin(Math.min(1, Math.sqrt(h))), s = c < 1e-12 ? 1 : c / Math.sin(c);
    const rise = Math.sin(p - lat0) + 2 * Math.sin(lat0) * Math.cos(p) * Math.sin(l / 2) ** 2;
    return [EARTH_M * s * Math.cos(p) * Math.sin(l) * k + tx, -EARTH_M * s * rise * k + ty];
  };
  const size = () => [svg.clientWidth || 860, svg.clientHeight || 600];

  function fit(to) {
    const [w, h] = size();
    box = to; moved = false;
    // Below the buttons and above the scale.
    const top = 46, foot = 20;
    k = Math.min(w / (to[2] - to[0]), (h - top - foot) / (to[3] - to[1]));
    tx = w / 2 - k * (to[0] + to[2]) / 2;
    ty = (h + top - foot) / 2 - k * (to[1] + to[3]) / 2;
    draw();
  }
  function zoom(by, x, y) {
    const to = Math.min(Math.max(k * by, 1e-5), 200);
    tx = x - (x - tx) * to / k; ty = y - (y - ty) * to / k; k = to; moved = true;
    draw();
  }
  function graticule(w, h) {
    grid.textContent = "";
    const edge = [];
    for (let i = 0; i <= 8; i++) for (const [u, v] of [[i / 8, 0], [i / 8, 1], [0, i / 8], [1, i / 8]]) edge.push(place((u * w - tx) / k, (v * h - ty) / k));
    const lats = edge.map((e) => e[0]), lons = edge.map((e) => e[1]);
    const [south, north, west, east] = [Math.min(...lats), Math.max(...lats), Math.min(...lons), Math.max(...lons)];
    if (!(north - south < 40 && east - west < 90)) return;
    const text = (x, y, words, anchor) => {
      const t = document.createElementNS(SVG, "text");
      t.setAttribute("x", x); t.setAttribute("y", y); t.setAttribute("text-anchor", anchor); t.textContent = words; grid.append(t);
    };
    const line = (at, from, to, isLat) => {
      const path = document.createElementNS(SVG, "path");
      const steps = [...Array(17).keys()].map((i) => from + (to - from) * i / 16);
      path.setAttribute("d", "M" + steps.map((s) => (isLat ? point(at, s) : point(s, at)).map((n) => n.toFixed(1)).join(",")).join("L"));
      grid.append(path);
    };
    const sLat = nice((north - south) / 3.2), sLon = nice((east - west) / 3.2);
    const digits = (step) => Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
    for (let a = Math.ceil(south / sLat) * sLat; a <= north; a += sLat) {
      line(a, west, east, true);
      const y = point(a, place(-tx / k, (h / 2 - ty) / k)[1])[1];
      if (y > 64 && y < h - 74) text(6, y - 3, `${Math.abs(a).toFixed(digits(sLat))}° ${a < 0 ? "S" : "N"}`, "start");
    }
    for (let o = Math.ceil(west / sLon) * sLon; o <= east; o += sLon) {
      line(o, south, north, false);
      const x = point(place((w / 2 - tx) / k, (h - ty) / k)[0], o)[0], turn = ((o + 540) % 360) - 180;
      if (x > 40 && x < w - 40) text(x + 3, h - 6, `${Math.abs(turn).toFixed(digits(sLon))}° ${turn < 0 ? "W" : "E"}`, "start");
    }
  }
  const seen = (x, y, w, h) => x >= 14 && y >= 14 && x <= w - 14 && y <= h - 14;
  // Where a letter stands: at its anchor, or else on a part of its outline that is in sight and not taken.
  const samples = new Map();
  function spot(pin, x, y, w, h, taken) {
    const free = ([a, b]) => seen(a, b, w, h) && !(a < 420 && b < 52) && !(a > w - 54 && b < 76) && !taken.some(([p, q]) => Math.hypot(p - a, q - b) < 26);
    const piece = pin.dataset.piece;
    if (!samples.has(piece)) {
      const path = svg.querySelector(`.outline[data-piece="${piece}"]`), long = path ? path.getTotalLength() : 0;
      samples.set(piece, [...Array(long ? 72 : 0).keys()].map((i) => path.getPointAtLength(long * i / 72)));
    }
    const places = [[x, y], ...samples.get(piece).map((p) => [p.x * k + tx, p.y * k + ty])];
    // A shape too small for the letter: beside it.
    const on = places.find(([a, b]) => seen(a, b, w, h)), turns = [6, 5, 7, 4, 0, 3, 1, 2].map((n) => n * Math.PI / 4);
    const beside = on && turns.map((t) => [on[0] + 28 * Math.cos(t), on[1] + 28 * Math.sin(t)]).find(free);
    const found = places.find(free) || beside || on || [x, y];
    if (seen(...found, w, h)) taken.push(found);
    return found;
  }
  // A pin that is out of sight waits at the border and points to its place, unless its shape lies all around.
  function pinned(pin, w, h, taken) {
    let x = pin.dataset.x * k + tx, y = pin.dataset.y * k + ty;
    if (pin.classList.contains("letter")) [x, y] = spot(pin, x, y, w, h, taken);
    const out = !seen(x, y, w, h);
    const around = pin.classList.contains("around") || pin.classList.contains("name");
    const hidden = pin.classList.contains("name") && taken.some(([p, q]) => Math.abs(p - x) < 62 && Math.abs(q - y) < 20);
    pin.style.display = hidden || (out && around) ? "none" : "";
    pin.classList.toggle("away", out && !around);
    const words = pin.querySelector("text.away"), arrow = pin.querySelector(".arrow");
    if (!out && pin.classList.contains("mode")) taken.push([x, y]);
    if (out && !around) {
      const cx = w / 2, cy = h / 2, s = Math.min((cx - 34) / Math.abs(x - cx || 1e-9), (cy - 56) / Math.abs(y - cy || 1e-9));
      if (arrow) arrow.setAttribute("transform", `rotate(${Math.atan2(x - cx, cy - y) / RAD})`);
      if (words) words.textContent = wording(Math.hypot(x - cx, y - cy) / k);
      x = cx + (x - cx) * s; y = cy + (y - cy) * s;
      while (taken.some(([p, q]) => Math.abs(p - x) < 50 && Math.abs(q - y) < 30) && x > 40) x -= 50;
      taken.push([x, y]);
    } else if (words) words.textContent = "";
    pin.setAttribute("transform", `translate(${x.toFixed(1)},${y.toFixed(1)})`);
  }
  function draw() {
    const [w, h] = size();
    svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
    for (const world of worlds) world.setAttribute("transform", `translate(${tx},${ty}) scale(${k})`);
    const taken = [[tx, ty]];
    for (const pin of pins) pinned(pin, w, h, taken);
    graticule(w, h);
    const long = nice(130 / k), bar = call.querySelector(".scale");
    bar.querySelector("i").style.width = `${long * k}px`;
    bar.querySelector("span").textContent = long < 1 ? `${long} m` : long < 1000 ? `${long} m` : `${long / 1000} km`;
  }
  function light(piece, on) {
    for (const part of call.querySelectorAll(`.outline[data-piece="${piece}"], tr[data-piece="${piece}"]`)) part.classList.toggle("lit", on);
  }

  svg.addEventListener("wheel", (e) => { e.preventDefault(); zoom(Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0018)), e.offsetX, e.offsetY); }, { passive: false });
  const held = new Map();
  svg.addEventListener("pointerdown", (e) => { svg.setPointerCapture(e.pointerId); held.set(e.pointerId, [e.clientX, e.clientY]); svg.classList.add("drag"); });
  svg.addEventListener("pointermove", (e) => {
    const was = held.get(e.pointerId);
    if (!was) {
      const cell = e.target.closest(".cell"), at = frame.getBoundingClientRect();
      tip.hidden = !cell;
      if (!cell) return;
      const mass = cell.dataset.mass * 100, inside = cell.classList.contains("out") ? "outside the region" : "in the region";
      tip.textContent = `${mass < 0.1 ? mass.toPrecision(2) : mass.toFixed(1)} % here, ${inside} · cell ${cell.dataset.cell}, resolution ${cell.dataset.res}`;
      const x = e.clientX - at.left;
      tip.style.top = `${e.clientY - at.top + 16}px`;
      tip.style.left = `${Math.max(4, Math.min(x + 14, at.width - tip.offsetWidth - 6))}px`;
      return;
    }
    const others = [...held].filter(([id]) => id !== e.pointerId).map(([, p]) => p);
    if (others.length) {
      const [o] = others, at = svg.getBoundingClientRect();
      zoom(Math.hypot(e.clientX - o[0], e.clientY - o[1]) / Math.max(1, Math.hypot(was[0] - o[0], was[1] - o[1])), (e.clientX + o[0]) / 2 - at.left, (e.clientY + o[1]) / 2 - at.top);
    } else { tx += e.clientX - was[0]; ty += e.clientY - was[1]; moved = true; draw(); }
    held.set(e.pointerId, [e.clientX, e.clientY]);
  });
  for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, (e) => { held.delete(e.pointerId); if (!held.size) svg.classList.remove("drag"); });
  svg.addEventListener("pointerleave", () => { tip.hidden = true; });
  const steps = { "+": () => zoom(1.5, ...size().map((n) => n / 2)), "-": () => zoom(1 / 1.5, ...size().map((n) => n / 2)), region: () => fit(boxOf(svg.dataset.near)), all: () => fit(boxOf(svg.dataset.whole)) };
  for (const close of call.querySelectorAll("button[data-box], li[data-box]")) {
    close.addEventListener("click", () => fit(boxOf(close.dataset.box)));
    close.addEventListener("keydown", (e) => { if (e.key === "Enter") fit(boxOf(close.dataset.box)); });
  }
  for (const button of call.querySelectorAll("button[data-do]")) button.addEventListener("click", () => steps[button.dataset.do]());
  svg.addEventListener("keydown", (e) => {
    const pan = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[e.key];
    const step = steps[e.key === "=" ? "+" : e.key];
    if (pan) { tx += pan[0]; ty += pan[1]; moved = true; draw(); } else if (step) step(); else return;
    e.preventDefault();
  });
  for (const row of call.querySelectorAll("tr[data-piece], .letter[data-piece]")) {
    row.addEventListener("pointerenter", () => light(row.dataset.piece, true));
    row.addEventListener("pointerleave", () => light(row.dataset.piece, false));
    row.addEventListener("click", () => { const shape = svg.querySelector(`.outline[data-piece="${row.dataset.piece}"]`); if (shape) fit(boxOf(shape.dataset.box)); });
  }
  return () => { if (moved) draw(); else fit(box); };
}

const calls = [...document.querySelectorAll(".call")], views = new Map(), picker = document.querySelector(".picker select");
function show(which) {
  calls.forEach((call, n) => { call.hidden = n !== which; });
  if (!views.has(which)) views.set(which, view(calls[which]));
  const refresh = views.get(which);
  if (refresh) refresh();
  if (picker) picker.selectedIndex = which;
}
if (picker) {
  picker.addEventListener("change", () => show(picker.selectedIndex));
  for (const button of document.querySelectorAll(".picker button")) button.addEventListener("click", () => show((picker.selectedIndex + Number(button.dataset.step) + calls.length) % calls.length));
}
const asked = calls.findIndex((call) => `#${call.id}` === location.hash);
show(Math.max(0, asked));
addEventListener("resize", () => { const n = calls.findIndex((c) => !c.hidden), refresh = views.get(n); if (refresh) refresh(); });
