// The cells in sight, and no others, on a scrolled sheet with labels that stay at its edges.

const LINE = 16; // of a caption
const NAMES = 22; // the line with the names of the axes that go across
const HEADING = 28; // above a block
const PICTURE = 40; // a picture at a label, and at most twice as wide
const BESIDE = 3; // lines of a caption that a picture stands beside
const MAX_CELLS = 450; // in sight at once; smaller cells than that are not offered

class Sheet {
  // `dress(node, number)` gives a cell its looks; `seen(numbers)` hears what is in sight;
  // `hide(axis, position)` hides a value.
  constructor({ dress, seen, hide }) {
    Object.assign(this, { dress, seen, hide, size: 128, shape: 1, current: 0 });
    this.nodes = new Map();
    this.labels = new Map();
    this.corner = make("div", { class: "corner" });
    this.head = make("div", { class: "head" });
    this.side = make("div", { class: "side" });
    this.body = make("div", { class: "body", role: "group", "aria-label": "Images" });
    this.canvas = make("div", { class: "canvas" }, this.corner, this.head, this.side, this.body);
    this.nothing = make("p", { class: "nothing" });
    this.element = make("div", { class: "sheet" }, this.canvas, this.nothing);
    this.element.addEventListener("scroll", () => this.later());
    this.offerHiding();
  }

  get width() {
    return this.size + GAP;
  }

  get height() {
    return Math.round(this.size * this.shape) + GAP + this.captioned;
  }

  // The height of the captions above cells.
  get captioned() {
    return this.layout.lines ? this.layout.lines * LINE + 5 : 0;
  }

  left(column) {
    return this.layout.left(column, this.width);
  }

  top(row) {
    return this.layout.top(row, this.height, HEADING);
  }

  // How many rows are in sight.
  get inSight() {
    return Math.max(1, Math.floor((this.element.clientHeight - this.headHeight) / this.height));
  }

  // How wide a letter is, about.
  letter() {
    return widest(["abcdefghij 01234"], this.element) / 16;
  }

  smallest() {
    const area = this.element.clientWidth * (this.element.clientHeight || 600);
    return Math.max(48, 4 * Math.ceil(Math.sqrt(area / MAX_CELLS) / 4));
  }

  // How wide the labels of axes that go down are, one for each of them.
  gutters(down) {
    const most = Math.max(48, (this.element.clientWidth * 0.4) / Math.max(1, down.axes.length));
    return down.axes.map((axis) => {
      const { called, labels } = down.places.axes[axis];
      const words = Math.min(most, 190, widest([...labels, `${called} ↓`], this.element) + 14);
      return words + this.beside(down.places, axis);
    });
  }

  // The room for pictures beside the labels of an axis.
  beside({ axes }, axis) {
    return axes[axis].pictures ? 2 * PICTURE : 0;
  }

  lay(layout) {
    this.layout = layout;
    this.clear();
    const table = layout instanceof TableLayout;
    this.canvas.classList.toggle("listed", !table);
    this.sideWidth = this.headHeight = 0;
    if (table) this.layLabels(layout);
    else if (layout.axis !== null) {
      this.headHeight = NAMES;
      this.nameAcross(layout.places, [layout.axis]);
    }
    const across = layout.columns ? this.left(layout.columns - 1) + this.width : 0;
    const down = layout.rows ? this.top(layout.rows - 1) + this.height : 0;
    this.canvas.style.gridTemplateColumns = `${this.sideWidth}px ${across}px`;
    this.canvas.style.gridTemplateRows = `${this.headHeight}px ${down}px`;
    this.draw();
  }

  // The room for the labels, the labels as they fit into it, and the names of the axes.
  layLabels({ down, across, places }) {
    const letter = this.letter();
    const fitting = (axis, width) => toldApart(places.axes[axis].labels, Math.floor((LINES * width) / letter));
    const spans = across.spans.map((span) => span * this.width - GAP);
    this.sideWidths = this.gutters(down);
    this.sideWidth = this.sideWidths.reduce((sum, width) => sum + width, 0);
    this.sideTexts = down.axes.map((axis, level) => fitting(axis, this.sideWidths[level] - 14 - this.beside(places, axis)));
    this.headTexts = across.axes.map((axis, level) => fitting(axis, spans[level]));
    this.headHeights = across.axes.map((axis, level) =>
      (widest(this.headTexts[level], this.element) > spans[level] ? 40 : 22)
        + (places.axes[axis].pictures ? PICTURE + 4 : 0));
    const labels = this.headHeights.reduce((sum, height) => sum + height, 0);
    this.headHeight = labels ? NAMES + labels + 4 : down.axes.length ? NAMES : 0;
    this.corner.replaceChildren(...down.axes.map((axis, level) => {
      const name = named(places.axes[axis], level === down.axes.length - 1 ? " ↓" : "", "name");
      name.style.width = `${this.sideWidths[level]}px`;
      return name;
    }));
    if (labels) this.nameAcross(places, across.axes);
  }

  nameAcross(places, axes) {
    const names = axes.map((axis, level) => named(places.axes[axis], level === axes.length - 1 ? " →" : " › "));
    this.head.append(make("div", { class: "names" }, make("span", {}, ...names)));
    this.head.firstChild.firstChild.style.left = `${this.sideWidth}px`;
  }

  clear() {
    for (const part of [this.body, this.head, this.side, this.corner]) part.replaceChildren();
    this.nodes.clear();
    this.labels.clear();
  }

  later() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw();
    });
  }

  // First and one past the last of the rows and columns in sight, with one more on each side.
  window() {
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = this.element;
    const within = (start, room, edge, count) => [
      Math.max(0, firstAfter(start, edge, count) - 2),
      Math.min(count, firstAfter(start + room, edge, count) + 1),
    ];
    const { rows, columns } = this.layout;
    return [
      ...within(scrollTop, clientHeight - this.headHeight, (row) => this.top(row), rows),
      ...within(scrollLeft, clientWidth - this.sideWidth, (column) => this.left(column), columns),
    ];
  }

  draw() {
    if (!this.layout || !this.element.clientWidth) return;
    const [top, bottom, left, right] = this.window();
    const wanted = new Map();
    for (let row = top; row < bottom; row += 1)
      for (let column = left; column < right; column += 1) {
        const number = this.layout.cell(row, column);
        if (number !== null) wanted.set(number, [row, column]);
      }
    const numbers = [...wanted.keys()];
    // The one that Tab comes to is always there, so that the keyboard goes on from it.
    const at = this.layout.find(this.current);
    if (this.layout.cell(...at) === this.current) wanted.set(this.current, at);
    for (const [number, node] of this.nodes)
      if (!wanted.has(number)) {
        node.caption?.remove();
        node.remove();
        this.nodes.delete(number);
      }
    for (const [number, spot] of wanted)
      if (!this.nodes.has(number)) this.add(number, spot);
    if (this.layout instanceof TableLayout) this.drawLabels(top, bottom, left, right);
    this.seen(numbers);
  }

  add(number, [row, column]) {
    const node = make("button", { type: "button", class: "cell", tabindex: -1 });
    node.dataset.cell = number;
    const above = this.captioned;
    node.style.left = `${this.left(column)}px`;
    node.style.top = `${this.top(row) + above}px`;
    if (above) {
      const text = this.layout.captions(number).join("\n");
      const title = this.layout.places.words(number).join("\n");
      node.caption = make("div", { class: "caption", dir: "auto", title }, text);
      const picture = this.layout.picture?.(number);
      if (picture) node.caption.prepend(pictured(picture));
      node.caption.classList.toggle("pictured", Boolean(picture));
      node.caption.style.height = `${above - 3}px`;
      node.caption.style.left = node.style.left;
      node.caption.style.top = `${this.top(row)}px`;
      this.body.append(node.caption);
    }
    if (number === this.current) node.tabIndex = 0;
    this.dress(node, number);
    this.nodes.set(number, node);
    this.body.append(node);
  }

  drawLabels(top, bottom, left, right) {
    const wanted = new Map();
    const { down, across, blocked } = this.layout;
    const tall = Math.round(this.size * this.shape);
    let x = 0;
    down.axes.forEach((_, level) => {
      for (const [row, end] of parts(down.spans[level], top, bottom)) {
        const at = this.top(row);
        const box = { left: x, top: at, width: this.sideWidths[level], height: this.top(end - 1) + tall - at };
        wanted.set(`r${level}.${row}`, [this.side, box, this.text(down, level, row, this.sideTexts)]);
      }
      x += this.sideWidths[level];
    });
    let y = NAMES;
    across.axes.forEach((_, level) => {
      for (const [column, end] of parts(across.spans[level], left, right)) {
        const at = this.left(column);
        const box = { left: at, top: y, width: this.left(end - 1) + this.size - at, height: this.headHeights[level] };
        wanted.set(`c${level}.${column}`, [this.head, box, this.text(across, level, column, this.headTexts)]);
      }
      y += this.headHeights[level];
    });
    if (blocked)
      for (const [row] of parts(down.count, top, bottom))
        for (const [column, end] of parts(across.count, left, right))
          this.headBlock(wanted, row, column, end);
    for (const [key, label] of this.labels)
      if (!wanted.has(key)) {
        label.remove();
        this.labels.delete(key);
      }
    for (const [key, [where, box, { text, title, kind, value, pictures }]] of wanted) {
      if (this.labels.has(key)) continue;
      const label = make("div", { class: `label ${kind}`, title }, make("span", { dir: "auto" }, text));
      label.append(...pictures.filter(Boolean).map(pictured));
      label.value = value;
      for (const [name, value] of Object.entries(box)) label.style[name] = `${value}px`;
      for (const part of kind === "inner" ? [] : label.children)
        if (where === this.side) part.style.top = `${this.headHeight}px`;
        else part.style.left = `${this.sideWidth}px`;
      this.labels.set(key, label);
      where.append(label);
    }
  }

  // What the label of an axis at a place says.
  text(side, level, at, texts) {
    const place = at % side.count;
    const axis = side.axes[level];
    const { captions, called } = side.places.axes[axis];
    const position = side.position(level, place);
    const value = side.values[level].length > 1 && [axis, position];
    const title = captions?.[position] ?? `${called} ${side.label(level, place)}`;
    const kind = level === side.axes.length - 1 ? "inner" : "outer";
    return { text: texts[level][position], title, kind, value, pictures: [side.places.picture(axis, position)] };
  }

  // What hides a value, beside the label that is pointed at. For the keyboard there is the list of
  // values.
  offerHiding() {
    const hider = button("", "Hide", () => this.hide(...hider.parentNode.value));
    hider.tabIndex = -1;
    for (const part of [this.head, this.side]) {
      part.addEventListener("pointerover", ({ target }) => {
        const label = target.closest(".label");
        if (!label?.value || hider.parentNode === label) return;
        hider.title = `Hide ${label.title}`;
        hider.setAttribute("aria-label", hider.title);
        label.append(hider);
      });
      part.addEventListener("pointerleave", () => hider.remove());
    }
  }

  // The heading of the block that begins at a row and a column.
  headBlock(wanted, row, column, end) {
    const { layout } = this;
    const number = layout.cell(row, column);
    if (number === null) return;
    const { places, blocks } = layout;
    const said = places.words(number).filter((_, axis) => blocks.axes.includes(axis));
    const pictures = blocks.axes.map((axis) => places.picture(axis, places.place(number)[axis]));
    const left = this.left(column);
    const own = this.left(end - 1) + this.size - left;
    const width = layout.perLine > 1 ? own : Math.max(own, this.element.clientWidth - this.sideWidth);
    const box = { left, top: this.top(row) - HEADING, width, height: HEADING };
    const text = said.join(" · ");
    wanted.set(`b${row}.${column}`, [this.body, box, { text, title: text, kind: "heading", pictures }]);
  }

  refresh(numbers) {
    for (const number of numbers ?? this.nodes.keys())
      if (this.nodes.has(number)) this.dress(this.nodes.get(number), number);
  }

  // Makes a cell the one that Tab comes to.
  enter(number, { focus = false, show = false } = {}) {
    const before = this.nodes.get(this.current);
    if (before) before.tabIndex = -1;
    this.current = number;
    if (show && this.layout.count) this.show(number);
    else if (!this.nodes.has(number)) this.draw();
    const node = this.nodes.get(number);
    if (!node) return;
    node.tabIndex = 0;
    if (focus) node.focus({ preventScroll: true });
  }

  show(number) {
    const [row, column] = this.layout.find(number);
    const near = (start, room, position, length) => {
      if (position < start) return position;
      return position + length > start + room ? position + length - room : start;
    };
    const { element } = this;
    element.scrollTop = near(element.scrollTop, element.clientHeight - this.headHeight - 2 * GAP,
      this.top(row), this.height);
    element.scrollLeft = near(element.scrollLeft, element.clientWidth - this.sideWidth,
      this.left(column), this.width);
    this.draw();
  }
}

// The name of an axis, as people see it.
function named({ name, called }, sign, kind = "") {
  return make("span", { class: kind, dir: "auto", title: name }, `${called}${sign}`);
}

// A picture that an axis sets; what it is the label says.
function pictured(src) {
  return make("img", { src, alt: "", draggable: false });
}

// The first of `count` places whose edge lies at or after a point.
function firstAfter(point, edge, count) {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (edge(middle) < point) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The runs of so many places that have some between two, each with its end.
function parts(length, first, last) {
  const found = [];
  for (let at = first - (first % length); at < last; at += length) found.push([at, at + length]);
  return found;
}
