// The cells in sight, and no others, on a scrolled sheet with labels that stay at its edges.

const GAP = 6;
const LINE = 16; // of a caption
const LETTER = 0.56; // of the font's size, about
const LINES = 1.6; // of a label, with what a break at a word leaves empty
const MAX_CELLS = 450; // in sight at once; smaller cells than that are not offered

class Sheet {
  // `dress(node, number)` gives a cell its looks; `seen(numbers)` hears what is in sight.
  constructor({ dress, seen }) {
    Object.assign(this, { dress, seen, size: 128, shape: 1, headed: true });
    this.nodes = new Map();
    this.labels = new Map();
    this.current = 0;
    this.corner = make("div", { class: "corner" });
    this.head = make("div", { class: "head" });
    this.side = make("div", { class: "side" });
    this.body = make("div", { class: "body", role: "group", "aria-label": "Images" });
    this.canvas = make("div", { class: "canvas" }, this.corner, this.head, this.side, this.body);
    this.nothing = make("p", { class: "nothing" });
    this.element = make("div", { class: "sheet" }, this.canvas, this.nothing);
    this.element.addEventListener("scroll", () => this.later());
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

  // The space for cells across, for a given side of labels.
  room(side) {
    return this.element.clientWidth - side;
  }

  // How wide a letter is, about.
  letter() {
    return LETTER * parseFloat(getComputedStyle(this.element).fontSize || 13);
  }

  perLine() {
    return Math.max(1, Math.floor((this.room(0) + GAP) / this.width));
  }

  smallest() {
    const area = this.element.clientWidth * (this.element.clientHeight || 600);
    return Math.max(48, 4 * Math.ceil(Math.sqrt(area / MAX_CELLS) / 4));
  }

  lay(layout, names) {
    this.layout = layout;
    this.clear();
    const table = layout instanceof TableLayout;
    const longest = (labels) => labels.reduce((most, label) => Math.max(most, label.length), 0);
    this.canvas.classList.toggle("listed", !table);
    if (table) {
      const side = layout.places.axes[layout.rowAxis].labels;
      const head = layout.colAxis === null ? [] : layout.places.axes[layout.colAxis].labels;
      const letters = Math.max(longest(side), longest(names) + 3);
      const letter = this.letter();
      this.sideWidth = Math.min(190, Math.max(56, Math.ceil(letters * letter) + 18));
      this.headHeight = longest(head) * letter > this.size ? 46 : 28;
      if (layout.colAxis === null) this.headHeight = 28;
      this.sideLabels = toldApart(side, Math.floor((LINES * (this.sideWidth - 18)) / letter));
      this.headLabels = toldApart(head, Math.floor((LINES * this.size) / letter));
      this.corner.replaceChildren(
        ...(names[1] ? [make("div", { dir: "auto" }, `${names[1]} →`)] : []),
        make("div", { dir: "auto" }, `${names[0]} ↓`));
      this.corner.title = names.filter(Boolean).join(" → , ");
      if (names[1]) this.headHeight = Math.max(46, this.headHeight);
    } else {
      this.sideWidth = this.headHeight = 0;
      this.corner.replaceChildren();
    }
    this.canvas.style.gridTemplateColumns = `${this.sideWidth}px ${layout.columns * this.width}px`;
    this.canvas.style.gridTemplateRows = `${this.headHeight}px ${layout.rows * this.height}px`;
    this.draw();
  }

  clear() {
    this.body.replaceChildren();
    this.head.replaceChildren();
    this.side.replaceChildren();
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
    const within = (start, room, pitch, count) => [
      Math.max(0, Math.floor(start / pitch) - 1),
      Math.min(count, Math.ceil((start + room) / pitch) + 1),
    ];
    return [
      ...within(scrollTop, clientHeight - this.headHeight, this.height, this.layout.rows),
      ...within(scrollLeft, clientWidth - this.sideWidth, this.width, this.layout.columns),
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
    // The one that has the focus stays, so that the keyboard goes on from there.
    if (this.layout.count && this.nodes.has(this.current) && !wanted.has(this.current))
      wanted.set(this.current, this.layout.find(this.current));
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
    node.style.left = `${column * this.width}px`;
    node.style.top = `${row * this.height + above}px`;
    if (above) {
      const text = this.layout.captions(number).join("\n");
      const title = this.layout.places.words(number).join("\n");
      node.caption = make("div", { class: "caption", dir: "auto", title }, text);
      node.caption.style.height = `${above - 3}px`;
      node.caption.style.left = node.style.left;
      node.caption.style.top = `${row * this.height}px`;
      this.body.append(node.caption);
    }
    if (number === this.current) node.tabIndex = 0;
    this.dress(node, number);
    this.nodes.set(number, node);
    this.body.append(node);
  }

  drawLabels(top, bottom, left, right) {
    const wanted = new Map();
    for (let row = top; row < bottom; row += 1)
      wanted.set(`r${row}`, [this.side, "top", row * this.height, this.layout.rowLabel(row), this.sideLabels[row]]);
    for (let column = left; column < right; column += 1)
      wanted.set(`c${column}`,
        [this.head, "left", column * this.width, this.layout.columnLabel(column), this.headLabels[column]]);
    for (const [key, label] of this.labels)
      if (!wanted.has(key)) {
        label.remove();
        this.labels.delete(key);
      }
    for (const [key, [where, edge, position, text, short]] of wanted) {
      if (this.labels.has(key) || !text) continue;
      const label = make("div", { class: "label", title: text }, make("span", { dir: "auto" }, short));
      label.style[edge] = `${position}px`;
      this.labels.set(key, label);
      where.append(label);
    }
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
      row * this.height, this.height);
    element.scrollLeft = near(element.scrollLeft, this.room(this.sideWidth),
      column * this.width, this.width);
    this.draw();
    if (!this.nodes.has(number) && this.layout.cell(row, column) === number)
      this.add(number, [row, column]);
  }
}
