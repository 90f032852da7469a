// What keys and clicks do.

const KEYS = "click or Enter enlarges · arrows move · S stars · P pins · Space, Ctrl-click, Shift-click select";
const TOUCHES = "tap a picture to enlarge it";
const FURTHER = new Set([...Object.keys(ARROWS), "Home", "End", "PageUp", "PageDown"]);

// What can be done with a cell: by keys and mouse, or by fingers.
function usage() {
  return touched() ? TOUCHES : KEYS;
}

class Keys {
  constructor(view) {
    this.view = view;
    view.root.addEventListener("keydown", (event) => this.key(event));
    const { body } = view.sheet;
    body.addEventListener("click", (event) => this.click(event));
    // A notebook would select its own cells, and a page its text, on Shift and click.
    body.addEventListener("mousedown", (event) => {
      if (!event.shiftKey) return;
      event.stopPropagation();
      event.preventDefault();
    });
  }

  click(event) {
    const { view } = this;
    const number = view.under(event);
    if (number === null) return;
    const adding = event.ctrlKey || event.metaKey;
    if (event.shiftKey) view.marks.extend(number, adding);
    else if (adding) view.marks.toggle(number);
    else view.enlarge(number);
    if (!event.shiftKey) view.marks.anchor = number;
    view.goTo(number);
    if (event.shiftKey) view.sheet.enter(number, { focus: true });
  }

  key(event) {
    const { view } = this;
    const inside = event.target.closest(".sheet") && !view.comparison.open;
    if (inside && event.key === "a" && (event.ctrlKey || event.metaKey)) {
      view.marks.selectAll();
      event.preventDefault();
      event.stopPropagation();
    }
    const toAnEnd = event.ctrlKey && (event.key === "Home" || event.key === "End");
    if (event.altKey || event.metaKey || (event.ctrlKey && !toAnEnd)) return;
    if (event.key === "Enter" && event.shiftKey) return; // runs the cell of a notebook
    event.stopPropagation(); // a notebook has shortcuts on the same keys
    if (!inside) return;
    const number = view.current;
    if (event.key === "s") view.marks.star(number);
    else if (event.key === "p") view.marks.pin(number);
    else if (event.key === " ") view.marks.toggle(number);
    else if (FURTHER.has(event.key)) this.walk(event);
    else return;
    event.preventDefault();
  }

  walk({ key, shiftKey, ctrlKey }) {
    const { view } = this;
    view.marks.anchor ??= view.current;
    const turned = /^Page/.test(key) && view.turns();
    const moved = view.goTo(this.moved(view.current, key, ctrlKey), turned);
    if (moved) view.sheet.enter(view.current, { focus: true });
    if (shiftKey) view.marks.extend(view.current);
    else view.marks.anchor = null;
  }

  // The cell that a key leads to from another, or null where there is no further: the page keys turn
  // the pages of a table that has some.
  moved(number, key, ctrl = false) {
    const { layout, inSight } = this.view.sheet;
    const [row, column] = layout.find(number);
    const [last, end] = [layout.rows - 1, layout.columns - 1];
    const pages = key === "PageUp" ? -1 : 1;
    if (key in ARROWS) return layout.cell(row + ARROWS[key][0], column + ARROWS[key][1]);
    if (key === "Home") return layout.cell(ctrl ? 0 : row, 0);
    if (key === "End") return this.lastOf(ctrl ? last : row, end);
    if (this.view.turns()) return this.view.arrangement.side("pages").step(number, pages);
    return this.lastOf(Math.min(last, Math.max(0, row + pages * inSight)), column);
  }

  // The last cell of a row that is not beyond a column: a row may end before the others.
  lastOf(row, column) {
    const { layout } = this.view.sheet;
    while (column > 0 && layout.cell(row, column) === null) column -= 1;
    return layout.cell(row, column);
  }

  hint() {
    const { view } = this;
    if (view.shown) return "← → through the cells shown";
    const names = (where) => view.arrangement.in(where).map((axis) => view.places.axes[axis].called).join(", ");
    const parts = [];
    if (names("cols")) parts.push(`← → ${names("cols")}`);
    if (names("rows")) parts.push(`↑ ↓ ${names("rows")}`);
    if (view.turns()) parts.push(`PgUp PgDn ${names("pages")}`);
    return parts.join("  ·  ");
  }
}
