// The keyboard: tools by their letters, and on the stage a cursor of its own that paints.

const FAR = 10; // pixels that an arrow goes with Shift
const LETTERS = { b: "brush", e: "eraser", r: "rectangle", h: "move", x: "extend" };
const HELP = "Arrows move the cursor by one pixel, with Shift by ten. Space paints, and paints on " +
  "while it is held; Enter puts the tool down and lifts it. Left and right bracket change the " +
  "size. B brush, E eraser, R rectangle, H move, X extend, I invert. Control and Z undoes.";

class Keyboard {
  constructor(view) {
    this.view = view;
    this.place = null; // the pixel where the cursor is
    this.down = false;
    view.root.addEventListener("keydown", (event) => this.press(event));
    view.root.addEventListener("keyup", (event) => event.key === " " && this.onStage(event) && this.lift());
    view.board.stage.addEventListener("blur", () => this.leave());
  }

  onStage({ target }) {
    return target === this.view.board.stage;
  }

  press(event) {
    const acts = event.ctrlKey || event.metaKey ? this.combined(event) : this.single(event);
    if (acts) event.preventDefault();
    // A notebook has shortcuts on the same keys; Shift and Enter runs its cell.
    if (acts || !(event.ctrlKey || event.metaKey || event.altKey || (event.key === "Enter" && event.shiftKey)))
      event.stopPropagation();
  }

  // Whether a key together with Ctrl or Cmd did anything.
  combined({ key, shiftKey, target }) {
    if (target.matches("input[type=number]")) return false;
    if (/^z$/i.test(key)) this.view[shiftKey ? "redo" : "undo"]();
    else if (key === "y") this.view.redo();
    else return false;
    return true;
  }

  single(event) {
    const { key, target, altKey, shiftKey } = event;
    if (altKey || target.matches("input[type=number]")) return false;
    const { view } = this;
    if (this.onStage(event) && this.onCursor(event)) return true;
    if (target.matches("input")) return false; // a slider goes by arrows
    if (key in LETTERS && !shiftKey) view.take(LETTERS[key]);
    else if (key === "[" || key === "]") view.resize(key === "]" ? 1 : -1);
    else if (key === "i") view.invert();
    else return this.onStage(event) && view.board.zoom.key(key);
    return true;
  }

  onCursor({ key, shiftKey, repeat }) {
    const { view } = this;
    if (!view.paints) return false;
    if (key in ARROWS) this.step(...ARROWS[key].map((by) => by * (shiftKey ? FAR : 1)));
    else if (key === " ") repeat || this.put();
    else if (key === "Enter" && !shiftKey) this.down ? this.lift() : this.put();
    else if (key === "Escape" && this.down) this.leave();
    else return false;
    return true;
  }

  step(down, across) {
    const { size } = this.view.board.zoom;
    const from = this.place ?? size.map((length) => Math.floor(length / 2));
    const by = this.place ? [across, down] : [0, 0]; // the first only shows where it is
    this.place = from.map((at, i) => Math.min(size[i] - 1, Math.max(0, at + by[i])));
    this.point();
    if (this.down) this.view.go(this.middle);
    this.tell();
  }

  get middle() {
    return this.place.map((at) => at + 0.5);
  }

  point() {
    this.view.board.zoom.reveal(this.middle);
    this.view.point(this.middle);
  }

  put() {
    if (!this.place) this.step(0, 0);
    this.down = true;
    this.point();
    this.view.begin(this.middle, false);
    this.tell();
  }

  lift() {
    if (!this.down) return;
    this.down = false;
    this.view.end();
    this.tell();
  }

  leave() {
    if (this.down) this.view.giveUp();
    this.down = false;
    this.view.point(null);
  }

  tell() {
    const value = this.view.mask.at(this.place);
    const state = { 0: "protected", 255: "masked" }[value] ?? `masked by ${Math.round(value / 2.55)} %`;
    this.view.say(`${this.place.join(", ")}: ${state}${this.down ? ", tool down" : ""}`);
  }
}
