// What keys and clicks do.

const KEYS = "click or Enter enlarges · arrows move · S stars · P pins";

class Keys {
  constructor(view) {
    this.view = view;
    view.root.addEventListener("keydown", (event) => this.key(event));
    const { body } = view.sheet;
    body.addEventListener("click", (event) => this.click(event));
    // A notebook would select its own cells on Shift and click.
    body.addEventListener("mousedown", (event) => event.shiftKey && event.stopPropagation());
  }

  click(event) {
    const { view } = this;
    const number = view.under(event);
    if (number === null) return;
    if (view.info.live && (event.ctrlKey || event.metaKey)) view.marks.toggle(number);
    else if (view.info.live && event.shiftKey) view.marks.extend(number);
    else view.enlarge(number);
    view.goTo(number);
  }

  key(event) {
    const { view } = this;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Enter" && event.shiftKey) return; // runs the cell of a notebook
    event.stopPropagation(); // a notebook has shortcuts on the same keys
    const { target } = event;
    if (view.comparison.open || !target.closest(".sheet")) return;
    const number = view.current;
    const page = /^Page(Up|Down)$/.test(event.key);
    if (event.key === "s") view.marks.star(number);
    else if (event.key === "p") view.marks.pin(number);
    else if (event.key === " " && view.info.live) view.marks.toggle(number);
    else if (page ? view.turns() : event.key in ARROWS) this.walk(event.key, page);
    else return;
    event.preventDefault();
  }

  walk(key, page) {
    const { view } = this;
    if (view.goTo(this.moved(key), page)) view.sheet.enter(view.current, { focus: true });
  }

  // The cell that a key leads to, or null where there is no further.
  moved(key) {
    const { current, places, sheet } = this.view;
    if (!(key in ARROWS)) return places.turned(current, this.view.paged(), key === "PageUp" ? -1 : 1);
    const { layout } = sheet;
    const [row, column] = layout.find(current).map((at, i) => at + ARROWS[key][i]);
    if (layout instanceof ListLayout) return layout.numbers[row * layout.columns + column] ?? null;
    if (row < 0 || column < 0 || row >= layout.rows || column >= layout.columns) return null;
    return layout.cell(row, column);
  }

  hint() {
    const { view } = this;
    if (view.shown) return "← → through the cells shown";
    const name = (axis) => view.places.axes[axis].name;
    const parts = [];
    if (view.cols !== null) parts.push(`← → ${name(view.cols)}`);
    if (view.rows !== null) parts.push(`↑ ↓ ${name(view.rows)}`);
    if (view.turns()) parts.push(`PgUp PgDn ${view.paged().map(name).join(", ")}`);
    return parts.join("  ·  ");
  }
}
