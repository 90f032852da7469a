// Which axes go down, across, into blocks or onto pages, outer before inner, and which of their
// values are hidden. The model keeps it: a page in its address, a notebook for views to come and
// for the page that the grid is saved as.

const PLACES = ["rows", "cols", "blocks"];

class Arrangement {
  constructor(model) {
    this.model = model;
    const { axes, rows, cols } = model.get("info");
    this.places = new Places(axes);
    const first = (axis) => (axis === null ? [] : [axis]);
    const kept = model.get("arrangement") ?? {};
    this.put({ rows: first(rows), cols: first(cols), blocks: [], hidden: [], ...(valid(kept, axes) ? kept : {}) });
  }

  put({ rows, cols, blocks, hidden }) {
    Object.assign(this, { rows, cols, blocks });
    this.hidden = this.places.axes.map((_, axis) => new Set(hidden[axis] ?? []));
  }

  keep() {
    const { rows, cols, blocks } = this;
    const hidden = this.hidden.map((positions) => [...positions].sort((a, b) => a - b));
    this.model.set("arrangement", { rows, cols, blocks, hidden });
    this.model.save_changes();
  }

  // The axes in a place; those in none are turned as pages.
  in(where) {
    if (where !== "pages") return this[where];
    const used = PLACES.flatMap((place) => this[place]);
    return this.places.axes.map((_, axis) => axis).filter((axis) => !used.includes(axis));
  }

  side(where) {
    return new Side(this, this.in(where));
  }

  // All axes in the order in which the cells are read: page by page, block by block.
  get sequence() {
    return new Side(this, ["pages", "blocks", "rows", "cols"].flatMap((where) => this.in(where)));
  }

  visible(axis) {
    const positions = [...this.places.axes[axis].labels.keys()];
    return positions.filter((position) => !this.hidden[axis].has(position));
  }

  shows(number) {
    return this.places.place(number).every((position, axis) => !this.hidden[axis].has(position));
  }

  // The same cell, or the nearest one that is not hidden.
  nearest(number) {
    const place = this.places.place(number).map((position, axis) =>
      this.visible(axis).reduce((best, other) =>
        Math.abs(other - position) < Math.abs(best - position) ? other : best));
    return this.places.number(place);
  }

  // Takes an axis to a place: before another one there, or last. It leaves the one it was in.
  move(axis, where, before = null) {
    for (const place of PLACES) this[place] = this[place].filter((other) => other !== axis);
    if (where === "pages") return;
    const at = this[where].indexOf(before);
    this[where].splice(at < 0 ? this[where].length : at, 0, axis);
  }

  swap(one, other) {
    const exchanged = (axis) => (axis === one ? other : axis === other ? one : axis);
    for (const place of PLACES) this[place] = this[place].map(exchanged);
  }

  // Shows or hides a value; one always stays.
  hide(axis, position, hidden) {
    if (!hidden) this.hidden[axis].delete(position);
    else if (this.visible(axis).length > 1) this.hidden[axis].add(position);
  }

  // What is hidden: [axis, position] each.
  get hiding() {
    return this.hidden.flatMap((positions, axis) => [...positions].map((position) => [axis, position]));
  }

  where(axis) {
    return PLACES.find((place) => this[place].includes(axis)) ?? "pages";
  }
}

// Whether something that was kept is an arrangement of these axes.
function valid(kept, axes) {
  const placed = PLACES.flatMap((place) => (Array.isArray(kept[place]) ? kept[place] : [null]));
  const known = placed.every((axis) => Number.isInteger(axis) && axis in axes) && new Set(placed).size === placed.length;
  const some = (positions, axis) => Array.isArray(positions)
    && positions.every((position) => Number.isInteger(position) && position in axes[axis].labels)
    && new Set(positions).size < axes[axis].labels.length;
  const { hidden } = kept;
  return known && Array.isArray(hidden) && hidden.length === axes.length && hidden.every(some);
}
