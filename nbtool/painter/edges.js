// Making the picture larger: its edges are dragged out, or the pixels of each side are typed.

const STEP = 8; // pixels
const SIDES = ["left", "right", "top", "bottom"];
const ROOM = 56; // pixels of the screen around the picture, to drag into

class Edges {
  constructor(view) {
    this.view = view;
    this.numbers = {};
    this.typing = null; // the field that something is typed into, which is not disturbed
    const field = (name, label) => {
      const input = make("input", { type: "number", min: 0, step: STEP, inputmode: "numeric" });
      input.addEventListener("input", () => (this.typing = input));
      input.addEventListener("change", () => this.typed());
      this.numbers[name] = input;
      return make("label", {}, label, input);
    };
    const fields = [...SIDES, "feather"].map((name) => field(name, name[0].toUpperCase() + name.slice(1)));
    this.numbers.feather.step = 1;
    this.numbers.feather.title = "Pixels of the new part that the mask takes to rise to white";
    const reset = button("Remove", "Remove what was added", () => this.ask({ left: 0, right: 0, top: 0, bottom: 0 }));
    this.element = make("div", { class: "edges", role: "group", "aria-label": "Extend by pixels" }, ...fields, reset);
    this.frame = make("div", { class: "frame", hidden: "" });
    this.handles = SIDES.map((side) => this.handle(side));
    view.board.marks.append(this.frame, ...this.handles);
  }

  handle(side) {
    const element = make("div", { class: `handle ${side}` });
    element.addEventListener("pointerdown", (event) => {
      if (event.button || this.view.waiting) return;
      event.stopPropagation();
      element.setPointerCapture(event.pointerId);
      this.grip = { side, from: this.view.board.at(event), by: 0 };
    });
    element.addEventListener("pointermove", (event) => this.grip && this.drag(this.view.board.at(event)));
    element.addEventListener("pointerup", () => this.drop());
    element.addEventListener("pointercancel", () => this.let());
    return element;
  }

  // In steps that keep the whole a multiple, and not into the picture itself.
  drag(place) {
    const { side, from } = this.grip;
    const axis = side === "left" || side === "right" ? 0 : 1;
    const outwards = side === "left" || side === "top" ? -1 : 1;
    const length = this.view.board.zoom.size[axis];
    const whole = STEP * Math.round((length + outwards * (place[axis] - from[axis])) / STEP);
    this.grip.by = Math.max(-this.view.sides[side], whole - length);
    this.show();
  }

  show() {
    const { side, by } = this.grip;
    const [width, height] = this.view.board.zoom.size;
    const box = { left: 0, top: 0, right: width, bottom: height };
    box[side] += side === "left" || side === "top" ? -by : by;
    this.frame.hidden = false;
    this.view.board.lay(this.frame, [box.left, box.top], [box.right - box.left, box.bottom - box.top]);
    this.view.tell(`${box.right - box.left} × ${box.bottom - box.top}`);
  }

  drop() {
    if (!this.grip) return;
    const { side, by } = this.grip;
    this.let();
    if (by) this.ask({ [side]: this.view.sides[side] + by });
  }

  let() {
    this.grip = null;
    this.frame.hidden = true;
    this.view.tell();
  }

  typed() {
    this.typing = null;
    const values = Object.entries(this.numbers).map(([name, input]) => [name, Math.max(0, Math.round(input.value))]);
    this.ask(Object.fromEntries(values));
  }

  // What was asked for last, before Python has it too.
  get sides() {
    return this.view.asked ?? this.view.sides;
  }

  ask(changed) {
    const sides = { ...this.sides, ...changed };
    if (Object.keys(sides).some((name) => sides[name] !== this.sides[name])) this.view.extend(sides);
    else this.update();
  }

  update() {
    const open = this.view.tool === "extend";
    this.element.hidden = !open;
    for (const handle of this.handles) handle.hidden = !open;
    this.view.board.zoom.margin = open ? ROOM : 0;
    for (const [name, input] of Object.entries(this.numbers))
      if (input !== this.typing) input.value = this.sides[name];
  }
}
