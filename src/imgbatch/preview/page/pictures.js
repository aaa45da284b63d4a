// Fetching pictures: the newest wish counts, what it overtakes is dropped.

const page = crypto.randomUUID();

/**
 * Wrap `work(wish)` so that it runs for the newest wish only.
 *
 * A wish is a value, its number, and whether a newer one waits. One call runs at a time. A wish that comes meanwhile waits, and replaces the one that waited
 * before it: a slider asks for more pictures than anyone can see.
 */
export function newestOnly(work) {
  let running = false;
  let waiting = null;
  let wishes = 0;
  return async function ask(value) {
    wishes += 1;
    waiting = { value, number: wishes, isOvertaken: () => waiting !== null };
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

export class Trouble extends Error {}

async function ask(address, signal) {
  let answer;
  try {
    answer = await fetch(address, { signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble("imgbatch-preview has ended. Start it again to go on.");
  }
  if (answer.status === 204) return null;
  if (!answer.ok) throw new Trouble((await answer.json()).sentence);
  return answer;
}

export async function fetchFields(address, signal) {
  const answer = await ask(address, signal);
  return answer && answer.json();
}

/**
 * Fetch a picture: its pixels, ready to be drawn, and what the server measured on it.
 *
 * Null if a newer wish of this page had reached the server before it began.
 */
export async function fetchPicture(address, parameters, wish, signal) {
  const query = new URLSearchParams({ ...parameters, page, wish });
  const answer = await ask(`${address}?${query}`, signal);
  if (!answer) return null;
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
