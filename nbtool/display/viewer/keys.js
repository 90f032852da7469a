// What keys and clicks do.

const KEYS = "click or Enter enlarges · arrows move · S stars · P pins · Space, Ctrl-click, Shift-click select";

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
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Enter" && event.shiftKey) return; // runs the cell of a notebook
    event.stopPropagation(); // a notebook has shortcuts on the same keys
    if (!inside) return;
    const number = view.current;
    const page = /^Page(Up|Down)$/.test(event.key);
    if (event.key === "s") view.marks.star(number);
    else if (event.key === "p") view.marks.pin(number);
    else if (event.key === " ") view.marks.toggle(number);
    else if (page ? view.turns() : event.key in ARROWS) this.walk(event, page);
    else return;
    event.preventDefault();
  }

  walk({ key, shiftKey }, page) {
    const { view } = this;
    view.marks.anchor ??= view.current;
    const moved = view.goTo(this.moved(view.current, key), page);
    if (moved) view.sheet.enter(view.current, { focus: true });
    if (shiftKey) view.marks.extend(view.current);
    else view.marks.anchor = null;
  }

  // The cell that a key leads to from another, or null where there is no further.
  moved(number, key) {
    const { view } = this;
    if (!(key in ARROWS)) return view.arrangement.side("pages").step(number, key === "PageUp" ? -1 : 1);
    const { layout } = view.sheet;
    return layout.cell(...layout.find(number).map((at, i) => at + ARROWS[key][i]));
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
