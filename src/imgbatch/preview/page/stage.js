// Where the photograph lies on the stage, the divider across it, and how it is moved.

const stage = document.getElementById("stage");
const divider = document.getElementById("divider");

/** The stage's size in the screen's own pixels, and how many of these make a CSS pixel. */
export function stageSize() {
  const box = stage.getBoundingClientRect();
  return { width: box.width, height: box.height, density: window.devicePixelRatio || 1 };
}

/** The rectangle, in CSS pixels, that the whole photograph takes on the stage. */
export function planeOf(view, photo) {
  const { width, height, density } = stageSize();
  const inset = 16;
  const room = Math.min((width - 2 * inset) / photo.width, (height - 2 * inset) / photo.height);
  const scale = view.full ? 1 / density : Math.max(Math.min(room, 1 / density), 0.001);
  const plane = { width: photo.width * scale, height: photo.height * scale, scale };
  if (!view.full) {
    return { ...plane, left: Math.round((width - plane.width) / 2), top: Math.round((height - plane.height) / 2) };
  }
  view.x = held(view.x, width / scale, photo.width);
  view.y = held(view.y, height / scale, photo.height);
  return { ...plane, left: width / 2 - view.x * scale, top: height / 2 - view.y * scale };
}

// A centre such that no more of the stage stays empty than has to.
function held(centre, room, size) {
  return size <= room ? size / 2 : Math.min(size - room / 2, Math.max(room / 2, centre));
}

/** The part of the photograph that is in sight, out to whole tiles, so that it can be moved a little. */
export function boxInSight(plane, photo) {
  const { width, height } = stageSize();
  const tile = 256;
  const before = (at) => Math.max(0, Math.floor(at / tile) * tile);
  const after = (at, size) => Math.min(size, Math.ceil(at / tile) * tile);
  const x = before(-plane.left / plane.scale);
  const y = before(-plane.top / plane.scale);
  const right = after((width - plane.left) / plane.scale, photo.width);
  const bottom = after((height - plane.top) / plane.scale, photo.height);
  return { x, y, width: right - x, height: bottom - y };
}

export function place(plane, view) {
  const set = (name, value) => stage.style.setProperty(name, `${value}px`);
  set("--plane-left", plane.left);
  set("--plane-top", plane.top);
  set("--plane-width", plane.width);
  set("--plane-height", plane.height);
  const { width, height } = stageSize();
  const left = Math.max(0, plane.left);
  const right = Math.min(width, plane.left + plane.width);
  set("--split", left + ((right - left) * view.split) / 100);
  set("--sight-left", left);
  set("--sight-right", width - right);
  set("--sight-top", Math.max(0, plane.top));
  set("--sight-bottom", Math.max(0, height - plane.top - plane.height));
  stage.classList.toggle("full", view.full);
  divider.setAttribute("aria-valuenow", Math.round(view.split));
  divider.setAttribute("aria-valuetext", `${Math.round(view.split)} % of the width shows before`);
}

export function placeDetail(canvas, box, scale) {
  canvas.style.left = `${box.x * scale}px`;
  canvas.style.top = `${box.y * scale}px`;
  canvas.style.width = `${box.width * scale}px`;
  canvas.style.height = `${box.height * scale}px`;
  canvas.hidden = false;
}

const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Wire pointer and keyboard. `plane()` is where the photograph lies now; `moved()` redraws. */
export function wireStage(view, plane, moved, toggleZoom) {
  const splitAt = (clientX) => {
    const { left, width } = stage.getBoundingClientRect();
    const from = Math.max(0, plane().left);
    const to = Math.min(width, plane().left + plane().width);
    view.split = Math.min(100, Math.max(0, (100 * (clientX - left - from)) / (to - from)));
    moved();
  };
  const panBy = (x, y) => {
    view.x += x / plane().scale;
    view.y += y / plane().scale;
    moved();
  };

  let last = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest(".problem")) return;
    const panning = view.full && !event.target.closest("#divider");
    last = { x: event.clientX, y: event.clientY, panning };
    stage.setPointerCapture(event.pointerId);
    stage.classList.add("dragging");
    if (!panning) {
      divider.focus({ preventScroll: true, focusVisible: false });
      splitAt(event.clientX);
    }
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    if (!last) return;
    if (last.panning) panBy(last.x - event.clientX, last.y - event.clientY);
    else splitAt(event.clientX);
    last = { ...last, x: event.clientX, y: event.clientY };
  });
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, () => {
      last = null;
      stage.classList.remove("dragging");
    });
  }
  stage.addEventListener("dblclick", (event) => {
    const box = stage.getBoundingClientRect();
    toggleZoom({ x: event.clientX - box.left, y: event.clientY - box.top });
  });
  stage.addEventListener("wheel", (event) => {
    if (!view.full || event.ctrlKey) return;
    panBy(event.deltaX, event.deltaY);
    event.preventDefault();
  }, { passive: false });

  divider.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (event.key === "Home") view.split = 0;
    else if (event.key === "End") view.split = 100;
    else if (step && view.full && event.shiftKey) panBy(80 * step[0], 80 * step[1]);
    else if (step) view.split = Math.min(100, Math.max(0, view.split + 2 * (step[0] - step[1])));
    else return;
    moved();
    event.preventDefault();
  });
}
