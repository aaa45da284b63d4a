document.documentElement.classList.add("scripted");
for (const pair of document.querySelectorAll(".pair")) {
  const slider = pair.querySelector("input");
  const show = (percent) => {
    slider.value = percent;
    pair.style.setProperty("--split", `${percent}%`);
  };
  slider.addEventListener("input", () => show(slider.value));
  pair.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "mouse") return;
    const box = pair.getBoundingClientRect();
    show(Math.round((100 * (event.clientX - box.left)) / box.width));
  });
  pair.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse") show(50);
  });
}
