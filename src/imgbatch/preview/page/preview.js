// imgbatch preview: what is chosen lives in `photo`, `factors` and `view`; all else follows from it.

import { Problem, draw, fetchFields, fetchPicture, newestOnly } from "./pictures.js";
import { buildFactors, buildPresets, showCommand, showFactors, showHistogram, wireCopy } from "./settings.js";
import { boxInSight, place, placeDetail, planeOf, stageSize, wireStage } from "./stage.js";

const byId = (id) => document.getElementById(id);
const say = (text) => { byId("status").textContent = text; };

const album = await fetchFields("album.json");
const factors = { brightness: 0, contrast: 0, sharpness: 0 };
const view = { full: false, split: 50, x: 0, y: 0 };
let index = 0;
let photo = null; // the facts of the photograph on the stage; null until they are known
let plane = { left: 0, top: 0, width: 0, height: 0, scale: 1 };
let shown = {}; // for each canvas, which picture it shows, and that picture's histogram
let leaving = new AbortController(); // aborted when the photograph on the stage is left

const neutral = { brightness: 0, contrast: 0, sharpness: 0 };
const details = ["after-detail", "before-detail"];
const keyOf = (...parts) => JSON.stringify(parts);

// --- the address keeps what is chosen, so that a reload does not lose it ---

function remember() {
  const chosen = new URLSearchParams({ photo: index + 1, ...factors });
  history.replaceState(null, "", `#${chosen}`);
}

function recall() {
  const chosen = new URLSearchParams(location.hash.slice(1));
  const number = Number(chosen.get("photo"));
  if (number >= 1 && number <= album.photos.length) index = number - 1;
  for (const [name, [lowest, highest]] of Object.entries(album.ranges)) {
    const value = Math.round(Number(chosen.get(name)));
    if (value >= lowest && value <= highest) factors[name] = value;
  }
}

// --- pictures ---

/**
 * Show pictures, all at once when the last has come: for each canvas a name and its parameters.
 *
 * A canvas that shows the picture already is left as it is. Fails with AbortError if the photograph was left meanwhile: an abort ends a fetch, but not the unpacking of a picture that has come.
 */
async function show(pictures) {
  const { signal } = leaving;
  const wanted = Object.entries(pictures)
    .map(([canvas, [name, parameters]]) => ({ canvas, name, parameters, key: keyOf(index, name, parameters) }))
    .filter(({ canvas, key }) => shown[canvas]?.key !== key);
  const fetched = await Promise.all(wanted.map(({ name, parameters }) => (
    fetchPicture(`photo/${index}/${name}`, parameters, signal))));
  signal.throwIfAborted();
  wanted.forEach(({ canvas, key }, at) => {
    draw(byId(canvas), fetched[at].bitmap);
    shown[canvas] = { key, histogram: fetched[at].histogram };
  });
}

async function showWhole(wish) {
  const { width, height, density } = stageSize();
  const fit = { fit_width: Math.ceil(width * density), fit_height: Math.ceil(height * density) };
  await show({
    after: ["whole.jpg", { ...fit, ...wish.value }],
    before: ["whole.jpg", { ...fit, ...neutral }],
  });
  arrange();
  showHistogram(shown.before.histogram, shown.after.histogram);
  byId("stage").classList.remove("empty");
}

async function showDetail(wish) {
  const box = boxInSight(plane, photo);
  const { scale } = plane;
  await show({
    "after-detail": ["detail.jpg", { ...box, ...wish.value }],
    "before-detail": ["detail.jpg", { ...box, ...neutral }],
  });
  if (!view.full) return;
  for (const canvas of details) placeDetail(byId(canvas), box, scale);
}

const refresh = newestOnly(async (wish) => {
  const asked = performance.now();
  const { signal } = leaving;
  try {
    if (!photo) await open();
    // At 100 % the part in sight comes first; the whole, blurred around it, can wait.
    if (view.full) await showDetail(wish);
    else await showWhole(wish);
    performance.measure("imgbatch-answer", { start: asked, end: performance.now() });
    if (view.full && !wish.isOvertaken()) await showWhole(wish);
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Problem)) throw error;
    showTrouble(error.message);
  }
  byId("stage").setAttribute("aria-busy", "false");
});

async function open() {
  const { signal } = leaving;
  const facts = await fetchFields(`photo/${index}/facts.json`, signal);
  signal.throwIfAborted();
  photo = facts;
  view.x = photo.width / 2;
  view.y = photo.height / 2;
  byId("facts").textContent = `${photo.width} × ${photo.height}`;
}

function showTrouble(sentence) {
  byId("problem").textContent = sentence;
  byId("problem").hidden = false;
  for (const part of ["histogram-before", "histogram-after"]) byId(part).removeAttribute("d");
  byId("clipped").textContent = "";
  byId("stage").classList.add("empty");
}

// --- what follows from what is chosen ---

function arrange() {
  if (!photo) return;
  plane = planeOf(view, photo);
  place(plane, view);
}

function moved() {
  arrange();
  if (view.full) refresh({ ...factors });
}

function changed() {
  showFactors(album.ranges, factors, album.presets);
  showCommand(album.command, factors);
  remember();
  refresh({ ...factors });
}

function setZoom(full, point = null) {
  if (!photo || full === view.full) return;
  if (full) point ??= { x: plane.left + plane.width / 2, y: plane.top + plane.height / 2 };
  if (full) {
    view.x = (point.x - plane.left) / plane.scale;
    view.y = (point.y - plane.top) / plane.scale;
  }
  showZoom(full);
  arrange();
  refresh({ ...factors });
}

function showZoom(full) {
  view.full = full;
  for (const canvas of details) byId(canvas).hidden = true;
  byId("zoom-fit").setAttribute("aria-pressed", !full);
  byId("zoom-full").setAttribute("aria-pressed", full);
  byId("hint").hidden = full;
}

function go(to) {
  if (to < 0 || to >= album.photos.length) return;
  index = to;
  leaving.abort();
  leaving = new AbortController();
  photo = null;
  shown = {};
  showZoom(false);
  byId("problem").hidden = true;
  byId("stage").setAttribute("aria-busy", "true");
  byId("name").textContent = album.photos[index];
  byId("name").title = album.photos[index];
  byId("facts").textContent = "";
  byId("position").textContent = `${index + 1} of ${album.photos.length}`;
  byId("previous").disabled = index === 0;
  byId("next").disabled = index === album.photos.length - 1;
  document.title = `${album.photos[index]} · imgbatch preview`;
  say(`${album.photos[index]}, ${index + 1} of ${album.photos.length}`);
  changed();
}

function wireKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, [role=slider], code") || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape") setZoom(false);
    else if (event.key === "ArrowRight") go(index + 1);
    else if (event.key === "ArrowLeft") go(index - 1);
  });
}

recall();
buildFactors(album.ranges, factors, changed);
buildPresets(album.presets, (preset) => { Object.assign(factors, preset); changed(); });
wireCopy(say);
wireStage(view, () => plane, moved, (point) => setZoom(!view.full, point));
wireKeys();
byId("previous").addEventListener("click", () => go(index - 1));
byId("next").addEventListener("click", () => go(index + 1));
byId("zoom-fit").addEventListener("click", () => setZoom(false));
byId("zoom-full").addEventListener("click", () => setZoom(true));
byId("hint-zoom").addEventListener("click", () => { setZoom(true); byId("zoom-full").focus(); });
byId("reset").addEventListener("click", () => { Object.assign(factors, neutral); changed(); });
byId("scope").textContent = album.scope;
document.querySelector(".steps").hidden = album.photos.length < 2;
new ResizeObserver(() => { arrange(); if (photo) refresh({ ...factors }); }).observe(byId("stage"));
go(index);
