// A picture on a stage: all of it at first, then as near as one likes and moved by hand. Never
// blurred by enlarging: what is larger than its own pixels shows them.

const LEVELS = [0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32];
const SWIPE = 48; // pixels
const STRIDE = 80; // pixels that an arrow moves a picture by
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

class Zoom {
  // `turned(by)` hears of a swipe, `scaled()` of a new scale. `over` lies over the picture, as
  // large as it is; `takes(event)` says whether a pointer or a wheel moves and enlarges it.
  constructor({ turned = () => {}, scaled = () => {}, over = [], takes = () => true }) {
    Object.assign(this, { turned, scaled, over, size: [1, 1], scale: null, centre: [0, 0], margin: 0 });
    this.held = new Map(); // where fingers and buttons are down
    this.stage = make("div", { class: "stage" });
    const listen = (name, what) =>
      this.stage.addEventListener(name, (event) => takes(event) && what(event), { passive: false });
    listen("wheel", (event) => this.wheel(event));
    listen("dblclick", (event) => this.toggle(this.at(event)));
    this.stage.addEventListener("mousedown", (event) => this.image && event.preventDefault()); // the focus stays
    listen("pointerdown", (event) => this.press(event));
    listen("pointermove", (event) => this.drag(event));
    listen("pointerup", (event) => this.release(event));
    listen("pointercancel", (event) => this.held.delete(event.pointerId));
    new ResizeObserver(() => this.place()).observe(this.stage);
  }

  // Keeps the scale and the place where the last picture was of the same size.
  async show(url, size, alt) {
    if (this.image?.src === url) return;
    const image = make("img", { alt, draggable: false });
    image.src = this.url = url;
    await image.decode();
    if (this.url !== url) return;
    size ??= [image.naturalWidth, image.naturalHeight];
    if (String(size) !== String(this.size)) this.scale = null;
    this.size = size;
    this.image = image;
    this.stage.replaceChildren(image, ...this.over);
    this.place();
  }

  // Something else lies over the picture, or nothing.
  cover(over) {
    if (this.over[0] === over) return;
    this.over = over ? [over] : [];
    if (this.image) this.stage.replaceChildren(this.image, ...this.over);
    this.place();
  }

  say(...words) {
    this.image = this.url = null;
    this.stage.replaceChildren(make("p", {}, ...words));
    this.place();
  }

  get room() {
    return [this.stage.clientWidth, this.stage.clientHeight];
  }

  // The scale at which all of it is seen: enlarged, each of its pixels is as many of the screen's.
  get fitting() {
    const sharp = window.devicePixelRatio;
    const fit = Math.min(...this.room.map((room, i) => Math.max(1, room - 2 * this.margin) / this.size[i]));
    return fit > 1 ? Math.floor(fit * sharp) / sharp : fit;
  }

  get current() {
    return this.scale ?? this.fitting;
  }

  // Whether some of it is out of sight.
  get zoomed() {
    return Boolean(this.image) && this.room.some((room, i) => this.size[i] * this.current > room + 1);
  }

  place() {
    this.stage.classList.toggle("zoomed", this.zoomed);
    if (this.image && this.room[0]) this.lay(this.image);
    this.scaled();
  }

  lay(image) {
    const { size, current, room } = this;
    this.centre = this.centre.map((centre, i) => {
      const half = room[i] / current / 2;
      return 2 * half >= size[i] ? size[i] / 2 : Math.min(size[i] - half, Math.max(half, centre));
    });
    const [left, top] = this.centre.map((centre, i) => Math.round(room[i] / 2 - centre * current));
    const ratio = (size[0] * current * window.devicePixelRatio) / image.naturalWidth;
    for (const { style, classList } of [image, ...this.over]) {
      style.inset = `${top}px auto auto ${left}px`;
      style.width = `${size[0] * current}px`;
      style.height = `${size[1] * current}px`;
      classList.toggle("pixels", ratio > 1.001);
    }
  }

  // `scale`, or null for all of it; the picture stays where it is at a point of the stage.
  to(scale, at = [0, 0]) {
    if (!this.image) return;
    const before = this.current;
    const least = Math.min(this.fitting, 1);
    this.scale = scale === null ? null : Math.min(LEVELS.at(-1), Math.max(least, scale));
    if (this.scale === this.fitting) this.scale = null;
    this.centre = this.centre.map((centre, i) => centre + at[i] / before - at[i] / this.current);
    this.place();
  }

  step(by) {
    const levels = [...LEVELS, this.fitting].sort((a, b) => by * (a - b));
    this.to(levels.find((level) => by * (level - this.current) > 0.01 * level) ?? this.current);
  }

  toggle(at) {
    if (this.scale !== null) this.to(null);
    else this.to(this.fitting < 1 ? 1 : 2 * this.fitting, at);
  }

  pan(across, down) {
    this.centre = this.centre.map((centre, i) => centre - [across, down][i] / this.current);
    this.place();
  }

  // Brings a place of the picture into sight.
  reveal(place) {
    const hidden = place.some((at, i) => Math.abs(at - this.centre[i]) > this.room[i] / this.current / 2);
    if (hidden) this.centre = place;
    this.place();
  }

  // What a key does; whether it does anything.
  key(name) {
    if (name === "+" || name === "=") this.step(1);
    else if (name === "-") this.step(-1);
    else if (name === "0") this.to(null);
    else if (name === "1") this.to(1);
    else if (name in ARROWS && this.zoomed) this.pan(-STRIDE * ARROWS[name][1], -STRIDE * ARROWS[name][0]);
    else return false;
    return true;
  }

  // Where an event is, from the middle of the stage.
  at({ clientX, clientY }) {
    const box = this.stage.getBoundingClientRect();
    return [clientX - box.left - box.width / 2, clientY - box.top - box.height / 2];
  }

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode ? 16 : 1;
    const turned = Math.max(-100, Math.min(100, event.deltaY * lines));
    this.to(this.current * Math.exp(-turned * (event.ctrlKey ? 0.01 : 0.003)), this.at(event));
  }

  press(event) {
    if (event.button > 1 || !this.image) return; // the first one and the wheel move it
    this.stage.setPointerCapture(event.pointerId);
    if (!this.held.size) this.swipe = event.pointerType !== "mouse" && !this.zoomed ? this.at(event) : null;
    this.held.set(event.pointerId, this.at(event));
    if (this.held.size > 1) this.swipe = null;
  }

  // One finger moves the picture, two enlarge it as well.
  drag(event) {
    if (!this.held.has(event.pointerId)) return;
    const [middle, spread] = hull([...this.held.values()]);
    this.held.set(event.pointerId, this.at(event));
    const [moved, spreading] = hull([...this.held.values()]);
    this.pan(moved[0] - middle[0], moved[1] - middle[1]);
    if (spread && spreading) this.to((this.current * spreading) / spread, moved);
  }

  release(event) {
    this.held.delete(event.pointerId);
    if (!this.swipe || this.held.size) return;
    const [across, down] = this.at(event).map((at, i) => at - this.swipe[i]);
    this.swipe = null;
    if (Math.abs(across) > Math.max(SWIPE, 2 * Math.abs(down))) this.turned(across < 0 ? 1 : -1);
  }
}

// The middle of one or two points, and how far they are apart.
function hull(points) {
  const [one, other] = [points[0], points.at(-1)];
  const middle = one.map((place, i) => (place + other[i]) / 2);
  return [middle, Math.hypot(one[0] - other[0], one[1] - other[1])];
}
