// Fetching pictures: the newest wish counts, what it overtakes is dropped.

/**
 * Wrap `work(wish)` so that it runs for the newest wish only.
 *
 * A wish is a value, and whether a newer one waits. One call runs at a time. A wish that comes meanwhile waits, and replaces the one that waited
 * before it: a slider asks for more pictures than anyone can see.
 */
export function newestOnly(work) {
  let running = false;
  let waiting = null;
  return async function ask(value) {
    waiting = { value, isOvertaken: () => waiting !== null };
    if (running) return;
    running = true;
    try {
      while (waiting) {
        const wish = waiting;
        waiting = null;
        await work(wish);
      }
    } finally {
      running = false;
    }
  };
}

export class Problem extends Error {}

async function ask(address, signal) {
  let answer;
  try {
    answer = await fetch(address, { signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("imgbatch-preview has ended. Start it again to go on.");
  }
  if (!answer.ok) throw new Problem((await answer.json()).sentence);
  return answer;
}

export async function fetchFields(address, signal) {
  return (await ask(address, signal)).json();
}

/** Fetch a picture: its pixels, ready to be drawn, and what the server measured on it. */
export async function fetchPicture(address, parameters, signal) {
  const answer = await ask(`${address}?${new URLSearchParams(parameters)}`, signal);
  const histogram = JSON.parse(answer.headers.get("Imgbatch-Histogram"));
  return { bitmap: await createImageBitmap(await answer.blob()), histogram };
}

export function draw(canvas, bitmap) {
  if (canvas.width !== bitmap.width) canvas.width = bitmap.width;
  if (canvas.height !== bitmap.height) canvas.height = bitmap.height;
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
}
