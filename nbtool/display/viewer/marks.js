// What is marked: stars and the selection, which the model keeps, and pins, which are the view's.

const MAX_PINS = 12;

class Marks {
  constructor(view) {
    this.view = view;
    this.model = view.model;
    this.pins = [];
    this.asked = new Map(); // stars that the kernel has not answered for yet
    this.answered = ({ kind, cell }) => {
      if (kind !== "starred") return;
      this.asked.delete(cell);
      this.view.changed();
    };
    this.model.on("msg:custom", this.answered);
    this.read();
  }

  close() {
    this.model.off("msg:custom", this.answered);
  }

  read() {
    this.stars = new Set(this.model.get("stars"));
    for (const [number, starred] of this.asked) {
      if (starred) this.stars.add(number);
      else this.stars.delete(number);
    }
    this.selection = new Set(this.model.get("selection"));
  }

  of(number) {
    const marks = [];
    if (this.stars.has(number)) marks.push("starred");
    if (this.selection.has(number)) marks.push("selected");
    if (this.pins.includes(number)) marks.push("pinned");
    return marks;
  }

  put(name, numbers) {
    this.model.set(name, [...numbers].sort((a, b) => a - b));
    this.model.save_changes();
  }

  star(number) {
    if (this.view.state(number) !== "d") return;
    const starred = !this.stars.has(number);
    const { live } = this.view.info;
    // This one alone: of the others more may be known there than here.
    if (live && !toKernel(this.model, { kind: "star", cell: number, starred })) return;
    if (starred) this.stars.add(number);
    else this.stars.delete(number);
    if (!live) {
      this.put("stars", this.stars);
      return;
    }
    this.asked.set(number, starred);
    this.view.changed();
  }

  select(numbers) {
    this.put("selection", numbers);
  }

  selectAll() {
    const { view } = this;
    const { layout } = view.sheet;
    const all = [];
    for (let row = 0; row < layout.rows; row += 1)
      for (let column = 0; column < layout.columns; column += 1) all.push(layout.cell(row, column));
    this.select(new Set([...this.selection, ...all.filter((number) => number !== null)]));
  }

  toggle(number) {
    const selection = new Set(this.model.get("selection"));
    if (!selection.delete(number)) selection.add(number);
    this.select(selection);
  }

  // All between the cell that was chosen last and this one, as they lie on the sheet.
  extend(number, adding = false) {
    const { layout } = this.view.sheet;
    const selection = new Set(adding ? this.model.get("selection") : []);
    this.anchor ??= this.view.current;
    if (!this.view.arrangement.shows(this.anchor)) this.anchor = this.view.current;
    const ends = [layout.find(this.anchor), layout.find(number)];
    const [rows, columns] = [0, 1].map((i) => ends.map((end) => end[i]).sort((a, b) => a - b));
    for (let row = rows[0]; row <= rows[1]; row += 1)
      for (let column = columns[0]; column <= columns[1]; column += 1)
        if (layout.cell(row, column) !== null) selection.add(layout.cell(row, column));
    this.select(selection);
  }

  pin(number) {
    if (this.view.state(number) !== "d") return;
    if (this.pins.includes(number)) this.pins = this.pins.filter((other) => other !== number);
    else this.pins = [...this.pins, number].slice(-MAX_PINS);
    this.view.changed();
  }

  unpin() {
    this.pins = [];
    this.view.changed();
  }
}
