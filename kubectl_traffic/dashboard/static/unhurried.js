/**
 * Long work in short pieces: between them the page draws and listens, so that it never stands still.
 */

const PIECE = 10; // milliseconds, of the 16 that a frame has

/**
 * What `act` makes of each item of a list. As soon as `alive()` says no, it stops, and null comes back.
 */
export async function unhurried(items, act, alive = () => true) {
  const made = [];
  let begun = performance.now();
  for (const item of items) {
    if (performance.now() - begun > PIECE) {
      await new Promise((resolve) => setTimeout(resolve));
      if (!alive()) return null;
      begun = performance.now();
    }
    made.push(act(item));
  }
  return made;
}
