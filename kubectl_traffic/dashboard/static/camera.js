/**
 * What of a drawing is seen: moving and zooming. The drawing is moved as a whole by the compositor, so that its size does not
 * matter; it is made sharp again when a movement ends.
 */

const LEAST = 0.08;
const MOST = 2.5;
const MOST_FITTED = 1.1;
const NARROW = 700; // pixels
const STEP = 1.3;
const SETTLED = 160; // milliseconds without movement
const MARGIN = 24;

/**
 * A view of `svg` inside of `host`; both stay where they are in the document. `onsettle` hears of the scale when a movement
 * ends.
 */
export class Camera {
  #host;
  #svg;
  #timer = 0;
  #frame = 0;
  #touched = false;
  #onsettle;
  x = 0;
  y = 0;
  scale = 1;
  width = 1;
  height = 1;

  constructor(host, svg, onsettle = () => {}) {
    [this.#host, this.#svg, this.#onsettle] = [host, svg, onsettle];
    host.addEventListener("pointerdown", (event) => this.#drag(event));
    host.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    new ResizeObserver(() => this.#touched || this.fit(true)).observe(host);
  }

  /** The size of the drawing, in its own units. Until somebody moves it, all of it is seen. */
  resize(width, height) {
    [this.width, this.height] = [width, height];
    this.#svg.setAttribute("width", width);
    this.#svg.setAttribute("height", height);
    if (this.#touched) this.#apply();
    else this.fit(true);
  }

  /** The height in pixels that would show all of a drawing of this size, as wide as the host is. */
  wanted(width, height) {
    const room = (this.#host.clientWidth - 2 * MARGIN) / width;
    return height * Math.min(Math.max(room, this.#least()), MOST_FITTED) + 3 * MARGIN;
  }

  /** Show all of it, as large as it can be read with pleasure; with `readable`, on a small screen only as much as can be read. */
  fit(readable = false) {
    const { clientWidth, clientHeight } = this.#host;
    if (!clientWidth || !clientHeight) return;
    const room = Math.min((clientWidth - 2 * MARGIN) / this.width, (clientHeight - 2 * MARGIN) / this.height);
    this.scale = Math.min(Math.max(room, readable ? this.#least() : LEAST), MOST_FITTED);
    this.x = Math.max((clientWidth - this.width * this.scale) / 2, readable ? MARGIN / 2 : -Infinity);
    this.y = (clientHeight - this.height * this.scale) / 2;
    this.#touched = false;
    this.#apply();
  }

  /** Zoom by so many steps, around a point of the host; its middle by default. */
  zoom(steps, x = this.#host.clientWidth / 2, y = this.#host.clientHeight / 2) {
    const scale = Math.min(Math.max(this.scale * STEP ** steps, LEAST), MOST);
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.#touched = true;
    this.#apply();
  }

  /** Move by so many pixels. */
  move(right, down) {
    this.x += right;
    this.y += down;
    this.#touched = true;
    this.#apply();
  }

  /** Bring a point of the drawing into sight, if it is not; with text too small to read, come closer. */
  reveal(x, y, room = 120) {
    if (this.scale < 0.55) this.zoom(Math.log(0.8 / this.scale) / Math.log(STEP));
    const [left, top] = [this.x + x * this.scale, this.y + y * this.scale];
    const { clientWidth, clientHeight } = this.#host;
    const right = Math.max(room - left, 0) + Math.min(clientWidth - room - left, 0);
    const down = Math.max(room / 2 - top, 0) + Math.min(clientHeight - room / 2 - top, 0);
    if (right || down) this.move(right, down);
  }

  #least() {
    return this.#host.clientWidth < NARROW ? 0.55 : LEAST;
  }

  #apply() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#svg.classList.add("moving");
      this.#svg.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        this.#svg.classList.remove("moving");
        this.#onsettle(this.scale);
      }, SETTLED);
    });
  }

  #drag(down) {
    if (down.button !== 0) return;
    let [x, y, far] = [down.clientX, down.clientY, false];
    const move = (event) => {
      // A click with an unsteady hand still opens what it is on.
      if (!far && Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < 4) return;
      if (!far) this.#host.setPointerCapture(down.pointerId);
      far = true;
      this.move(event.clientX - x, event.clientY - y);
      [x, y] = [event.clientX, event.clientY];
    };
    const end = () => {
      this.#host.removeEventListener("pointermove", move);
      this.#host.removeEventListener("pointerup", end);
      this.#host.removeEventListener("pointercancel", end);
      if (far) this.#host.addEventListener("click", (event) => event.preventDefault(), { capture: true, once: true });
    };
    this.#host.addEventListener("pointermove", move);
    this.#host.addEventListener("pointerup", end);
    this.#host.addEventListener("pointercancel", end);
  }

  #wheel(event) {
    // The wheel alone goes on scrolling the page, which has more below.
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const box = this.#host.getBoundingClientRect();
    this.zoom(
      -Math.sign(event.deltaY) * Math.min(Math.abs(event.deltaY) / 60, 1),
      event.clientX - box.left,
      event.clientY - box.top,
    );
  }
}
