// The three factors, presets, the histogram and the command line.

const names = { brightness: "Brightness", contrast: "Contrast", sharpness: "Sharpness" };
const byId = (id) => document.getElementById(id);

/** Build the sliders from the ranges that the server tells; `changed` is called at each move. */
export function buildFactors(ranges, factors, changed) {
  for (const [name, [lowest, highest]] of Object.entries(ranges)) {
    const row = document.createElement("div");
    row.className = "factor";
    row.innerHTML = `<label for="${name}">${names[name]}</label>
      <input type="number" id="${name}-number" aria-label="${names[name]}, number" step="1" min="${lowest}" max="${highest}">
      <input type="range" id="${name}" step="1" min="${lowest}" max="${highest}">`;
    byId("factors").append(row);
    const set = (text) => {
      const value = Math.round(Number(text));
      if (text === "" || !Number.isFinite(value)) return;
      factors[name] = Math.min(highest, Math.max(lowest, value));
      changed();
    };
    const slider = byId(name);
    const number = byId(`${name}-number`);
    slider.addEventListener("input", () => set(slider.value));
    slider.addEventListener("dblclick", () => set("0"));
    number.addEventListener("input", () => set(number.value));
    number.addEventListener("blur", () => { number.value = factors[name]; });
  }
  byId("factors").addEventListener("submit", (event) => event.preventDefault());
}

export function buildPresets(presets, choose) {
  for (const [name, factors] of Object.entries(presets)) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () => choose(factors));
    byId("presets").append(button);
  }
  byId("presets").hidden = Object.keys(presets).length === 0;
}

export function showFactors(ranges, factors, presets) {
  for (const [name, [lowest, highest]] of Object.entries(ranges)) {
    const value = factors[name];
    const slider = byId(name);
    const number = byId(`${name}-number`);
    slider.value = value;
    if (document.activeElement !== number) number.value = value;
    const place = (at) => `${(100 * (at - lowest)) / (highest - lowest)}%`;
    slider.style.setProperty("--fill-from", place(Math.min(0, value)));
    slider.style.setProperty("--fill-to", place(Math.max(0, value)));
  }
  const buttons = byId("presets").querySelectorAll("button");
  Object.values(presets).forEach((preset, index) => {
    const same = Object.keys(ranges).every((name) => preset[name] === factors[name]);
    buttons[index].setAttribute("aria-pressed", same);
  });
  byId("reset").disabled = Object.values(factors).every((value) => value === 0);
}

/** Show the command; where the line has to break, an option stays together. */
export function showCommand(command, factors) {
  const options = Object.entries(factors).filter(([, value]) => value !== 0);
  const parts = options.map(([name, value]) => {
    const part = document.createElement("span");
    part.textContent = `--${name} ${value}`;
    return [" ", part];
  });
  byId("command").replaceChildren(command, ...parts.flat());
}

export function wireCopy(say) {
  byId("copy").addEventListener("click", async () => {
    const code = byId("command");
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      say("Selected: copy it with your keyboard");
      return;
    }
    byId("copy").textContent = "Copied";
    say("Command copied");
    setTimeout(() => { byId("copy").textContent = "Copy"; }, 1600);
  });
}

// The highest bins of a photograph with a plain sky dwarf all others: a root keeps both in sight.
function outline(bins, peak) {
  const width = 256 / bins.length;
  const points = bins.map((count, index) => {
    const height = 70 * Math.sqrt(count / peak);
    return `${((index + 0.5) * width).toFixed(1)} ${(72 - height).toFixed(1)}`;
  });
  return `0 ${points[0].split(" ")[1]} L${points.join(" L")} L256 ${points.at(-1).split(" ")[1]}`;
}

export function showHistogram(before, after) {
  const peak = Math.max(...before.bins, ...after.bins, 1);
  byId("histogram-before").setAttribute("d", `M0 72 L${outline(before.bins, peak)} L256 72 Z`);
  byId("histogram-after").setAttribute("d", `M${outline(after.bins, peak)}`);
  const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
  const parts = [];
  if (after.black >= 0.0005) parts.push(`${percent(after.black)} black`);
  if (after.white >= 0.0005) parts.push(`${percent(after.white)} white`);
  byId("clipped").textContent = parts.length ? `Without detail: ${parts.join(", ")}` : "";
}
