// What was done, to be taken back and done again. A step has what it costs in bytes, and
// `take()`, which takes it back and gives the step that does it again.

const MAX_COST = 128e6; // bytes; what was done first is forgotten first

class History {
  constructor() {
    this.clear();
  }

  clear() {
    this.done = [];
    this.undone = [];
  }

  keep(step) {
    this.done.push(step);
    this.undone = [];
    let cost = this.done.reduce((sum, one) => sum + one.cost, 0);
    while (cost > MAX_COST && this.done.length > 1) cost -= this.done.shift().cost;
  }

  undo() {
    return this.move(this.done, this.undone);
  }

  redo() {
    return this.move(this.undone, this.done);
  }

  // Whether there was anything.
  move(from, to) {
    const step = from.pop();
    if (step) to.push(step.take());
    return Boolean(step);
  }
}
