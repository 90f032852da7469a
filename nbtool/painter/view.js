// One view of a painter: what is in hand, the mask, what was done to it, and what Python hears.

class PainterView {
  constructor(model, el) {
    Object.assign(this, { model, tool: "brush", brush: 1, stroke: null, waiting: false, turn: 0 });
    this.mask = new Mask(1, 1);
    this.history = new History();
    this.board = new Board({ scaled: () => this.tools?.scales.update(), takes: (event) => this.hands.isZoom(event) });
    this.hands = new Hands(this, this.board);
    this.tools = new Tools(this);
    this.edges = new Edges(this);
    this.spoken = make("div", { class: "unseen", role: "status" });
    this.error = make("p", { class: "alert", role: "alert" });
    this.root = make("div", { class: "nbtool-painter", role: "group", "aria-label": "Mask painter" },
      this.tools.element, this.edges.element, this.error, this.board.stage, this.tools.below,
      this.describe(), this.spoken);
    if (model.get("still")) this.root.append(this.hideStill());
    this.keyboard = new Keyboard(this);
    el.append(this.root);
    this.listen();
    this.receive();
  }

  // What a screen reader says of the stage.
  describe() {
    const help = make("p", { hidden: "", id: `nbtool-painter-${crypto.getRandomValues(new Uint32Array(1))}` }, HELP);
    const { stage } = this.board;
    const about = { tabindex: 0, role: "application", "aria-describedby": help.id };
    for (const [name, value] of Object.entries(about)) stage.setAttribute(name, value);
    return help;
  }

  // The picture in the notebook that stands in for the painter where there is no kernel.
  hideStill() {
    const name = `.${this.model.get("still").replace(/[^\w-]/g, "")}`;
    return make("style", {}, `${name}, .jp-OutputArea-child:has(${name}) { display: none !important; }`);
  }

  listen() {
    // What changes together is taken together.
    const changed = () => (this.soon ??= Promise.resolve().then(() => this.receive()));
    const names = ["shown", "painted", "size", "sides", "alt", "refused"];
    for (const name of names) this.model.on(`change:${name}`, changed);
    this.close = () => {
      for (const name of names) this.model.off(`change:${name}`, changed);
      URL.revokeObjectURL(this.url);
      this.root.remove();
    };
  }

  // What Python has, which is one whole: the picture, its mask, and what was added on its sides.
  async receive() {
    this.soon = undefined;
    const { model } = this;
    const [file, painted, size] = ["shown", "painted", "size"].map((name) => model.get(name));
    if (!painted.byteLength || (painted === this.sent && file === this.file)) return;
    this.giveUp();
    const turn = (this.turn += 1);
    const mask = new Mask(...size, await decodeGray(painted));
    const url = file === this.file ? this.url : URL.createObjectURL(new Blob([file]));
    if (turn === this.turn) await this.board.show(url, size, model.get("alt"), mask);
    if (turn !== this.turn) {
      if (url !== this.url) URL.revokeObjectURL(url);
      return;
    }
    this.remember(mask, file);
    if (url !== this.url) URL.revokeObjectURL(this.url);
    if (file !== this.file) this.keyboard.place = null;
    const resized = !this.waiting && String(size) !== String([this.mask.width, this.mask.height]);
    const other = !this.url || resized;
    Object.assign(this, { mask, file, url, sides: model.get("sides"), waiting: false, stroke: null });
    this.asked = this.later;
    if (other) this.fit();
    write(this.error, model.get("refused"));
    this.board.stage.setAttribute("aria-label", `Mask of ${model.get("alt")}`);
    this.update();
    if (this.later) this.extend(this.later);
  }

  // What comes from Python can be undone too, unless it is another picture that nobody asked for here.
  remember(mask, file) {
    const same = file === this.file;
    if (same && this.waiting) this.history.done.pop(); // the edges are where they were
    if (same) this.keep(this.mask.box, this.mask.values, mask);
    else if (!this.waiting) this.history.clear();
  }

  fit() {
    const longer = Math.max(...this.board.zoom.size);
    this.tools.fit(Math.max(8, Math.ceil(longer / 2)));
    this.setBrush(Math.max(1, Math.round(longer / 12)));
  }

  // The tool in hand.

  get paints() {
    return ["brush", "eraser", "rectangle"].includes(this.tool) && !this.waiting && Boolean(this.file);
  }

  take(tool) {
    this.giveUp();
    if (tool !== this.tool) this.say(TOOLS[tool][0]);
    this.tool = tool;
    this.board.stage.dataset.tool = tool;
    this.point(null);
    this.update();
  }

  setBrush(size) {
    this.brush = size;
    this.tools.update();
  }

  resize(by) {
    const size = this.brush + by * Math.max(1, Math.round(this.brush / 10));
    this.setBrush(Math.min(this.tools.size.input.max, Math.max(1, size)));
    if (this.keyboard.place) this.point(this.keyboard.middle);
    this.say(`Size ${this.brush}`);
  }

  point(place) {
    this.board.point(this.paints ? place : null, this.tool === "rectangle" ? 1 : this.brush);
  }

  begin(place, reversed) {
    if (!this.paints) return;
    const value = (this.tool === "eraser") === reversed ? 255 : 0;
    this.stroke = { value, from: place, last: place, box: null, before: this.mask.values.slice() };
    this.go(place);
  }

  go(place) {
    const { stroke, mask, board } = this;
    if (!stroke) return;
    if (this.tool === "rectangle") {
      stroke.box = pixelsBetween(stroke.from, place, mask);
      board.outline(stroke.box);
      return;
    }
    const box = mask.stroke(stroke.last, place, this.brush, stroke.value);
    board.draw(box);
    stroke.box = around(stroke.box, box);
    stroke.last = place;
  }

  end() {
    const { stroke, mask } = this;
    if (!stroke) return;
    this.stroke = null;
    if (this.tool === "rectangle") this.change(stroke.box, () => mask.fill(stroke.box, stroke.value));
    else this.change(stroke.box, () => {}, stroke.before);
  }

  giveUp() {
    if (!this.stroke) return;
    this.mask.values.set(this.stroke.before);
    this.board.draw(this.stroke.box);
    this.board.outline(null);
    this.stroke = null;
  }

  // What is done to the mask.

  invert() {
    this.whole("Inverted", (value) => 255 - value);
  }

  clear() {
    this.whole("Cleared", () => 0);
  }

  whole(words, rule) {
    this.giveUp();
    if (this.waiting) return;
    this.change(this.mask.box, () => (this.mask.values = this.mask.values.map(rule)));
    this.say(words);
  }

  loadAlpha() {
    toKernel(this.model, { kind: "alpha" });
  }

  // Changes what is in a box, so that it can be taken back, and tells Python.
  change(box, act, before = this.mask.values.slice()) {
    act();
    this.board.outline(null);
    this.board.draw(box);
    if (this.keep(box, before)) this.send();
    this.update();
  }

  // Keeps what was in a box before, if the mask has something else there now; whether it has.
  keep(box, before, mask = this.mask) {
    const old = new Mask(mask.width, mask.height, before).cut(box);
    const now = mask.cut(box);
    const changed = old.some((value, i) => value !== now[i]);
    if (changed) this.history.keep(this.patch(box, old));
    return changed;
  }

  undo() {
    this.goBack("undo", "Undone", "Nothing to undo");
  }

  redo() {
    this.goBack("redo", "Done again", "Nothing to do again");
  }

  goBack(way, done, nothing) {
    this.giveUp();
    if (this.waiting) return;
    const moved = this.history[way]();
    if (moved && !this.waiting) this.send();
    this.say(moved ? done : nothing);
    this.update();
  }

  // Steps of the history: the values in a box, and the whole mask with what was added to the picture.

  patch(box, values) {
    const take = () => {
      const now = this.mask.cut(box);
      this.mask.paste(box, values);
      this.board.draw(box);
      return this.patch(box, now);
    };
    return { cost: values.length, take };
  }

  frame(sides, mask) {
    const take = () => {
      const now = this.frame(this.sides, this.mask);
      this.reframe(sides, mask);
      return now;
    };
    return { cost: mask.values.length, take };
  }

  extend(sides) {
    this.giveUp();
    this.asked = sides;
    this.later = this.waiting ? sides : null;
    if (this.waiting) return;
    this.history.keep(this.frame(this.sides, this.mask));
    this.reframe(sides);
  }

  // Asks Python for the picture with other sides; without a mask it makes that too.
  async reframe(sides, mask) {
    this.turn += 1;
    this.waiting = true;
    this.update();
    const file = mask ? await encodeGray(mask.values, mask.width, mask.height) : new Uint8Array(0);
    this.tellPython({ sides, painted: new DataView(file.buffer) });
  }

  // The newest mask only: what is packed meanwhile is out of date.
  async send() {
    const turn = (this.turn += 1);
    const { values, width, height } = this.mask;
    const file = await encodeGray(values, width, height);
    if (turn === this.turn) this.tellPython({ painted: new DataView(file.buffer) });
  }

  tellPython(state) {
    this.sent = state.painted;
    for (const [name, value] of Object.entries(state)) this.model.set(name, value);
    this.model.save_changes();
  }

  // What is said.

  say(words) {
    write(this.spoken, words);
  }

  tell(words) {
    const [width, height] = this.board.zoom.size;
    const share = 100 * this.mask.share;
    const percent = share > 0 && share < 1 ? share.toFixed(1) : Math.round(share);
    write(this.tools.line, words ?? (this.waiting ? "…" : `${width} × ${height} px · ${percent} % masked`));
  }

  update() {
    if (!this.sides) return;
    this.tools.update();
    this.edges.update();
    this.tell();
    this.board.zoom.place();
    this.root.classList.toggle("waiting", this.waiting);
  }
}

// The pixels from one place to another, both of them inside of the box.
function pixelsBetween(from, to, mask) {
  const pixel = (place) => place.map((at, i) => Math.min([mask.width, mask.height][i] - 1, Math.max(0, Math.floor(at))));
  const [one, other] = [pixel(from), pixel(to)];
  return [0, 1].map((i) => Math.min(one[i], other[i])).concat([0, 1].map((i) => Math.max(one[i], other[i]) + 1));
}

export default {
  render({ model, el }) {
    const view = new PainterView(model, el);
    return () => view.close();
  },
};
