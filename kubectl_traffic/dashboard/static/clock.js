/**
 * When to ask again: at an interval after each answer, not while the page is hidden or paused, and at once when it is seen again.
 */

/** Calls `act` again and again. `every` is in seconds, 0 for never. */
export class Clock {
  #act;
  #timer = 0;
  #due = false;
  every = 10;
  paused = false;

  constructor(act) {
    this.#act = act;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.#due) this.#act();
    });
  }

  /** An answer is there, or none came: wait for the next time. */
  rest() {
    clearTimeout(this.#timer);
    this.#due = false;
    if (this.paused || !this.every) return;
    this.#timer = setTimeout(() => {
      this.#due = true;
      if (!document.hidden) this.#act();
    }, this.every * 1000);
  }

  /** Nothing is due while somebody asks already. */
  stop() {
    clearTimeout(this.#timer);
    this.#due = false;
  }
}
