// Deep zoom of IIIF tiles on a canvas, with a second picture beside it behind a line that is swiped,
// and a map of the differences of the two.
"use strict";
const stage = document.getElementById("stage");
const canvas = document.getElementById("canvas");
const pen = canvas.getContext("2d", { willReadFrequently: true });
const layers = JSON.parse(document.getElementById("layers").textContent);
const width = layers.width, height = layers.height, side = layers.tile;
const kept = new Map(); // URL → {image, ready}; the newest last
const MOST = 400;
const BINS = [0, 1, 2, 4, 8, 16, 32];
let first = layers.names.indexOf("restored"), second = 0, swipe = 0.5, heat = false, pair = false;
let zoom = 1, left = 0, top_ = 0, frame = 0, laid = false;

// Of what is seen of one picture: side by side, each has half of the canvas.
const shown_width = () => pair && !heat && layers.names.length > 1 ? Math.floor(canvas.width / 2) : canvas.width;
function fitted() { return Math.min(shown_width() / width, canvas.height / height); }
function fit() {
  zoom = fitted();
  left = (width - shown_width() / zoom) / 2;
  top_ = (height - canvas.height / zoom) / 2;
  draw();
}
// A window that changes its size, as phones' do when they scroll, keeps what is zoomed into in its middle.
function resize() {
  const ratio = window.devicePixelRatio || 1;
  const whole = !laid || Math.abs(zoom - fitted()) < 1e-9;
  const x = left + shown_width() / zoom / 2, y = top_ + canvas.height / zoom / 2;
  canvas.width = Math.max(1, Math.round(stage.clientWidth * ratio));
  canvas.height = Math.max(1, Math.round(stage.clientHeight * ratio));
  laid = true;
  if (whole) { fit(); return; }
  left = x - shown_width() / zoom / 2;
  top_ = y - canvas.height / zoom / 2;
  draw();
}
function tile(url) {
  let one = kept.get(url);
  if (!one) {
    one = { image: new Image(), ready: false };
    one.image.onload = () => { one.ready = true; draw(); };
    one.image.onerror = () => { one.failed = true; tell(); };
    one.image.src = url;
  }
  kept.delete(url);
  kept.set(url, one);
  if (kept.size > MOST) kept.delete(kept.keys().next().value);
  return one;
}
// The tiles of a layer that a window shows, at the coarsest factor that is fine enough.
function paint(layer) {
  const source = layers.sources[layer];
  let factor = 1;
  while (factor * 2 <= 1 / zoom && side * factor < Math.max(width, height)) factor *= 2;
  const span = side * factor;
  const x0 = Math.max(0, Math.floor(left / span)), y0 = Math.max(0, Math.floor(top_ / span));
  const x1 = Math.min(Math.ceil(width / span), Math.ceil((left + shown_width() / zoom) / span));
  const y1 = Math.min(Math.ceil(height / span), Math.ceil((top_ + canvas.height / zoom) / span));
  pen.imageSmoothingEnabled = zoom < 2;
  for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) {
    const w = Math.min(span, width - x * span), h = Math.min(span, height - y * span);
    const url = source.replace("{region}", `${x * span},${y * span},${w},${h}`)
      .replace("{size}", `${Math.ceil(w / factor)},${Math.ceil(h / factor)}`);
    const one = tile(url);
    if (!one.ready) continue;
    // On whole pixels: no seams between tiles, and at 1:1 the very pixels of the image.
    const at = [place(x * span, left), place(y * span, top_)];
    const end = [place(x * span + w, left), place(y * span + h, top_)];
    pen.drawImage(one.image, at[0], at[1], end[0] - at[0], end[1] - at[1]);
  }
}
function place(pixel, from) { return Math.round((pixel - from) * zoom); }
function draw() {
  if (!frame) frame = requestAnimationFrame(() => { frame = 0; now(); });
}
function now() {
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  document.getElementById("histogram")?.toggleAttribute("hidden", !heat);
  const line = Math.round(canvas.width * swipe);
  if (shown_width() < canvas.width) { halves(); tell(); return; }
  paint(first);
  if (layers.names.length > 1 && heat) differences();
  else if (layers.names.length > 1 && line > 0) {
    pen.save();
    pen.beginPath();
    pen.rect(0, 0, line, canvas.height);
    pen.clip();
    pen.clearRect(0, 0, line, canvas.height);
    paint(second);
    pen.restore();
    if (swipe < 1) handle(line);
  }
  tell();
}
// The same part of both pictures, which move together.
function halves() {
  const half = shown_width();
  for (const [layer, from] of [[second, 0], [first, canvas.width - half]]) {
    pen.save();
    pen.beginPath();
    pen.rect(from, 0, half, canvas.height);
    pen.clip();
    pen.translate(from, 0);
    paint(layer);
    pen.restore();
  }
  pen.fillStyle = "#fff";
  pen.fillRect(half - 1, 0, 2, canvas.height);
}
// White between dark edges, so that it is seen on every picture.
function handle(line) {
  const ratio = window.devicePixelRatio || 1, middle = canvas.height / 2, round = 14 * ratio;
  pen.fillStyle = "rgb(0 0 0 / 45%)";
  pen.fillRect(line - 2 * ratio, 0, 4 * ratio, canvas.height);
  pen.fillStyle = "#fff";
  pen.fillRect(line - ratio, 0, 2 * ratio, canvas.height);
  pen.beginPath();
  pen.arc(line, middle, round, 0, 2 * Math.PI);
  pen.fill();
  pen.strokeStyle = "rgb(0 0 0 / 45%)";
  pen.lineWidth = ratio;
  pen.stroke();
  pen.fillStyle = "#1c1b19";
  for (const side of [-1, 1]) {
    pen.beginPath();
    pen.moveTo(line + side * 9 * ratio, middle);
    pen.lineTo(line + side * 4 * ratio, middle - 5 * ratio);
    pen.lineTo(line + side * 4 * ratio, middle + 5 * ratio);
    pen.fill();
  }
}
function differences() {
  const shown = pen.getImageData(0, 0, canvas.width, canvas.height);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  paint(second);
  const other = pen.getImageData(0, 0, canvas.width, canvas.height);
  const a = shown.data, b = other.data;
  const counts = BINS.map(() => 0);
  for (let i = 0; i < a.length; i += 4) {
    if (!a[i + 3] && !b[i + 3]) continue; // beside the picture
    const apart = Math.max(Math.abs(a[i] - b[i]), Math.abs(a[i + 1] - b[i + 1]), Math.abs(a[i + 2] - b[i + 2]));
    counts[BINS.findLastIndex((least) => apart >= least)] += 1;
    const level = Math.min(255, apart * 8); // 32 levels and more are full
    a[i] = level; a[i + 1] = level > 127 ? (level - 128) * 2 : 0; a[i + 2] = level > 0 ? 64 - level / 4 : 0;
  }
  pen.putImageData(shown, 0, 0);
  histogram(counts);
}
// Of the pixels in view: how many are how far from each other, in levels of 255.
function histogram(counts) {
  const all = Math.max(1, counts.reduce((sum, one) => sum + one, 0));
  document.getElementById("bins").replaceChildren(...counts.map((count, i) => {
    const row = document.createElement("tr"), bar = document.createElement("progress");
    const last = BINS[i + 1] - 1;
    const name = last === BINS[i] ? `${last}` : last ? `${BINS[i]} to ${last}` : `${BINS[i]} and more`;
    bar.value = count / all;
    bar.setAttribute("aria-hidden", "true");
    for (const part of [name, `${(100 * count / all).toFixed(1)} %`, bar]) {
      row.insertCell().append(part);
    }
    return row;
  }));
}
function tell() {
  let waiting = 0, failed = 0;
  for (const one of kept.values()) { waiting += !one.ready && !one.failed; failed += !!one.failed; }
  stage.dataset.state = waiting ? "loading" : "ready";
  stage.dataset.failed = failed;
  document.getElementById("said").textContent =
    `${Math.round(zoom * 100)} %` + (waiting ? ", loading" : "") + (failed ? `, ${failed} tiles failed` : "");
  document.getElementById("right").textContent = heat ? "difference, eightfold" : layers.titles[first];
  const name = document.getElementById("left");
  name.textContent = layers.titles[second];
  name.hidden = heat || layers.names.length < 2;
}
function scale(factor, x = shown_width() / 2, y = canvas.height / 2) {
  const next = Math.max(Math.min(1, fitted() / 2), Math.min(Math.max(16, fitted()), zoom * factor));
  if (x >= shown_width()) x -= shown_width(); // in the right half
  left += x / zoom - x / next;
  top_ += y / zoom - y / next;
  zoom = next;
  draw();
}
function pan(x, y) { left -= x / zoom; top_ -= y / zoom; draw(); }
const ratio = () => canvas.width / stage.clientWidth;
const fingers = new Map();
let swiping = null; // the finger that holds the line
const across = (event) => (event.clientX - stage.getBoundingClientRect().left) / stage.clientWidth;
const at_line = (event) => layers.names.length > 1 && !heat && !pair
  && Math.abs(across(event) - swipe) * stage.clientWidth < (event.pointerType === "touch" ? 24 : 12);
function swiped(to) {
  swipe = Math.min(1, Math.max(0, to));
  document.getElementById("swipe").value = 100 * swipe;
  draw();
}
stage.addEventListener("pointerdown", (event) => {
  stage.setPointerCapture(event.pointerId);
  if (!fingers.size && at_line(event)) { swiping = event.pointerId; return; }
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
});
stage.addEventListener("pointermove", (event) => {
  if (event.pointerId === swiping) { swiped(across(event)); return; }
  stage.classList.toggle("across", at_line(event));
  const before = fingers.get(event.pointerId);
  if (!before) return;
  if (fingers.size === 2) {
    const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    const was = Math.hypot(before[0] - other[0], before[1] - other[1]);
    const is = Math.hypot(event.clientX - other[0], event.clientY - other[1]);
    const box = stage.getBoundingClientRect();
    if (was > 0) scale(is / was, (other[0] - box.left) * ratio(), (other[1] - box.top) * ratio());
  } else pan((event.clientX - before[0]) * ratio(), (event.clientY - before[1]) * ratio());
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
});
for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => {
  fingers.delete(event.pointerId);
  if (event.pointerId === swiping) swiping = null;
});
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = stage.getBoundingClientRect();
  scale(event.deltaY < 0 ? 1.25 : 0.8, (event.clientX - box.left) * ratio(), (event.clientY - box.top) * ratio());
}, { passive: false });
stage.addEventListener("keydown", (event) => {
  const far = 60;
  const acts = {
    "+": () => scale(1.5), "=": () => scale(1.5), "-": () => scale(1 / 1.5), "0": fit, "1": () => scale(1 / zoom),
    ArrowLeft: () => pan(far, 0), ArrowRight: () => pan(-far, 0), ArrowUp: () => pan(0, far), ArrowDown: () => pan(0, -far),
  };
  if (acts[event.key]) { event.preventDefault(); acts[event.key](); }
});
const on = (id, what, act) => { const node = document.getElementById(id); if (node) node.addEventListener(what, act); };
on("in", "click", () => scale(1.5));
on("out", "click", () => scale(1 / 1.5));
on("fit", "click", fit);
on("full", "click", () => scale(1 / zoom));
on("swipe", "input", (event) => { swipe = event.target.value / 100; draw(); });
on("beside", "change", (event) => { second = Number(event.target.value); draw(); });
on("heat", "click", (event) => {
  heat = !heat;
  event.target.setAttribute("aria-pressed", heat);
  draw();
});
on("pair", "click", (event) => {
  pair = !pair;
  event.target.setAttribute("aria-pressed", pair);
  document.getElementById("swipe").disabled = pair;
  fit();
});
for (const button of document.querySelectorAll(".copy button")) button.addEventListener("click", async () => {
  const line = button.previousElementSibling;
  line.select();
  try { await navigator.clipboard.writeText(line.value); button.textContent = "Copied"; } catch { /* it is selected */ }
});
new ResizeObserver(resize).observe(stage);
resize();
