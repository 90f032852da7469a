// One view of a grid: what is chosen in it, what the keys do, and the parts that show it.

class View {
  constructor(model, el) {
    this.model = model;
    this.info = model.get("info");
    this.shelf = shelfOf(model);
    this.arrangement = new Arrangement(model);
    this.places = this.arrangement.places;
    this.current = this.arrangement.nearest(0);
    this.filter = "all";
    this.marks = new Marks(this);
    this.read();
    const role = this.info.live ? "group" : "main";
    this.root = make("div", { class: "nbtool-view", role, "aria-label": "Grid of images" });
    this.root.classList.toggle("whole-page", !this.info.live);
    this.sheet = new Sheet({
      dress: (node, number) => this.dress(node, number),
      seen: (numbers) => this.shelf.see(this, numbers, this.sharp()),
      hide: (axis, position) => this.toolbar.values.hide(axis, position, true),
    });
    this.sheet.shape = this.info.size[1] / this.info.size[0];
    this.fitting = new Fitting(this);
    this.toolbar = new Toolbar(this);
    this.line = make("output", { "aria-live": "off", dir: "auto" });
    const made = make("span", {}, `nbtool ${this.info.version}`);
    const footer = make("div", { class: "foot" }, this.line, this.toolbar.clear, this.toolbar.compare, made);
    this.enlarged = new Enlarged(new Cells(this));
    this.comparison = new Compare(this);
    this.root.append(this.toolbar.element, this.sheet.element, footer,
      this.enlarged.element, this.comparison.element);
    if (this.info.live) this.root.append(this.hideStill());
    el.append(this.root);
    this.listen();
    this.draw();
  }

  // The static grid in the notebook stands in for the viewer where there is no kernel.
  hideStill() {
    const name = `.nbtool-still-${this.info.token.replace(/\W/g, "")}`;
    return make("style", {}, `${name}, .jp-OutputArea-child:has(${name}) { display: none !important; }`);
  }

  // The model.

  read() {
    const { model } = this;
    this.states = model.get("states");
    this.failures = model.get("failures");
    this.marks.read();
    this.running = Boolean(model.get("progress").running);
  }

  listen() {
    const arrived = (numbers) => {
      this.sheet.refresh(numbers);
      if (this.enlarged.open) this.enlarged.update();
    };
    const changed = () => (this.soon ??= requestAnimationFrame(() => this.changed()));
    const names = ["states", "failures", "stars", "selection", "summary", "progress"];
    for (const name of names) this.model.on(`change:${name}`, changed);
    this.shelf.watchers.add(arrived);
    const sized = new ResizeObserver(() => this.fitting.sized());
    sized.observe(this.sheet.element);
    this.close = () => {
      for (const name of names) this.model.off(`change:${name}`, changed);
      this.shelf.watchers.delete(arrived);
      this.shelf.sights.delete(this);
      this.marks.close();
      this.toolbar.values.close();
      this.toolbar.close();
      sized.disconnect();
      cancelAnimationFrame(this.soon);
      this.root.remove();
    };
    this.keys = new Keys(this);
    const { body, element } = this.sheet;
    body.addEventListener("pointerover", (event) => this.about(event));
    element.addEventListener("pointerleave", () => this.tell(null));
    body.addEventListener("focusin", (event) => {
      const number = this.under(event);
      if (number === null) return;
      this.current = number;
      this.sheet.enter(number);
      this.tell(number);
    });
  }

  changed() {
    this.soon = undefined;
    const before = this.states;
    this.read();
    if (this.filter !== "all" && String(this.listed(this.filter)) !== String(this.shown)) this.draw();
    else this.sheet.refresh();
    this.toolbar.update();
    if (!this.enlarged.open) return;
    const { id } = this.enlarged;
    if (before[id] !== this.states[id] && "df".includes(this.state(id))) this.enlarged.show(id);
    else this.enlarged.update();
  }

  state(number) {
    return this.states[number] ?? ".";
  }

  reason(number) {
    return this.failures[number] ?? "";
  }

  caption(number) {
    return this.places.caption(number) || this.info.title;
  }

  // The labels that tell pinned cells apart.
  differing(numbers, i) {
    const all = numbers.map((number) => this.places.place(number));
    const { axes } = this.places;
    const some = axes.map((_, axis) => axis).filter((axis) => all.some((p) => p[axis] !== all[0][axis]));
    const words = this.places.words(numbers[i]);
    return some.map((axis) => words[axis]).join(" · ");
  }

  dress(node, number) {
    dressCell(node, {
      state: this.state(number),
      url: this.shelf.picture(number),
      caption: this.caption(number),
      reason: this.reason(number),
      waiting: this.running,
      roomy: this.sheet.size >= 76,
      decoding: this.info.live ? "sync" : "async", // small ones at once: no flicker on scrolling
      marks: this.marks.of(number),
    });
  }

  // Drawing.

  // Whether there are other pages of the table to turn to.
  turns() {
    return !this.shown && this.arrangement.in("pages").length > 0;
  }

  listed(filter) {
    const order = (numbers) =>
      [...numbers].filter((number) => this.arrangement.shows(number)).sort((a, b) => a - b);
    if (filter === "starred") return order(this.marks.stars);
    if (filter === "selected") return order(this.marks.selection);
    if (filter === "failed") return order(Object.keys(this.failures).map(Number));
    return null;
  }

  layout() {
    const { arrangement, places, sheet } = this;
    this.shown = this.listed(this.filter);
    const letters = Math.floor(sheet.size / sheet.letter());
    const { rows, cols, blocks } = arrangement;
    if (this.shown) {
      const lines = Math.min(4, places.axes.length);
      const short = places.short(letters);
      return new ListLayout(places, this.shown, this.fitting.perLine(), (number) => places.words(number, short), lines);
    }
    if (rows.length || blocks.length || cols.length > 1)
      return new TableLayout(arrangement, this.current, this.fitting.blocksPerLine());
    if (!cols.length) return new ListLayout(places, [this.current], this.fitting.perLine(), null, 0);
    const [axis] = cols;
    const labels = toldApart(places.axes[axis].labels, letters);
    const numbers = arrangement.visible(axis).map((position) => places.with(this.current, axis, position));
    const lines = places.axes[axis].pictures ? BESIDE : 1;
    const listed = new ListLayout(places, numbers, this.fitting.perLine(), (number) => [labels[places.place(number)[axis]]], lines);
    listed.axis = axis;
    listed.picture = (number) => places.picture(axis, places.place(number)[axis]);
    return listed;
  }

  draw() {
    if (!this.arrangement.shows(this.current)) this.current = this.arrangement.nearest(this.current);
    const { sheet } = this;
    sheet.current = this.current;
    this.root.style.setProperty("--size", `${sheet.size}px`);
    this.root.style.setProperty("--tall", `${Math.round(sheet.size * sheet.shape)}px`);
    this.root.classList.toggle("pixels", sheet.size * window.devicePixelRatio > Math.max(...this.info.size));
    const focus = sheet.body.contains(this.root.getRootNode().activeElement);
    sheet.lay(this.layout());
    const { layout } = sheet;
    if (layout.count) sheet.enter(layout.cell(...layout.find(this.current)), { focus });
    write(sheet.nothing, layout.count ? "" : `No cell is ${this.filter}.`);
    sheet.nothing.hidden = Boolean(layout.count);
    this.tell(null);
  }

  // What is at the upper left stays there.
  resize(size) {
    const { sheet } = this;
    const { scrollTop, scrollLeft } = sheet.element;
    const before = sheet.layout && [sheet.height, sheet.width];
    sheet.size = Math.max(size, sheet.smallest());
    this.draw();
    if (!before || !(sheet.layout instanceof TableLayout)) return;
    sheet.element.scrollTop = (scrollTop * sheet.height) / before[0];
    sheet.element.scrollLeft = (scrollLeft * sheet.width) / before[1];
    sheet.draw();
  }

  // How many pixels a thumbnail should have.
  sharp() {
    const wanted = this.sheet.size * Math.min(2, window.devicePixelRatio);
    return wanted > 460 ? 896 : wanted > 200 ? 448 : 192;
  }

  under(event) {
    const node = event.target.closest(".cell");
    return node ? Number(node.dataset.cell) : null;
  }

  about(event) {
    const number = this.under(event);
    if (number !== null) this.tell(number);
  }

  tell(number) {
    if (number === null) {
      write(this.line, usage());
      return;
    }
    const state = this.state(number);
    const rest = state === "d" ? "" : [WORDS[state], this.reason(number)].filter(Boolean).join(": ");
    const marks = this.marks.stars.has(number) ? "★" : "";
    write(this.line, [marks, this.caption(number), rest].filter(Boolean).join("  –  "));
  }

  // What can be chosen.

  // The axes lie elsewhere, or other values are hidden.
  rearranged() {
    this.arrangement.keep();
    this.current = this.arrangement.nearest(this.current);
    this.fitting.fit();
    this.drawAll();
    this.toolbar.update();
  }

  drawAll() {
    this.draw();
    this.toolbar.drawAxes();
    this.sheet.enter(this.sheet.current, { show: true });
  }

  filterBy(filter) {
    this.filter = filter;
    this.draw();
    this.toolbar.update();
  }

  goTo(number, turned = false) {
    if (number === null) return false;
    this.current = number;
    if (turned) this.drawAll();
    else this.sheet.enter(number, { show: true });
    return true;
  }

  compare() {
    if (this.marks.pins.length > 1) this.comparison.show();
  }

  enlarge(number) {
    this.enlarged.show(number);
  }
}

// What a widget needs. The pictures that come before a view is there are kept for it.
const viewer = {
  initialize({ model }) {
    const { token } = model.get("info");
    shelfOf(model);
    return () => {
      shelves.get(token)?.close();
      shelves.delete(token);
    };
  },
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.close();
  },
};
export default viewer;
