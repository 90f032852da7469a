// Cells are numbered with the last axis fastest; a place is a cell's position on each axis.

class Places {
  constructor(axes) {
    this.axes = axes;
    this.count = axes.reduce((product, axis) => product * axis.labels.length, 1);
  }

  number(place) {
    return this.axes.reduce((sum, axis, i) => sum * axis.labels.length + place[i], 0);
  }

  place(number) {
    const place = [];
    for (const axis of [...this.axes].reverse()) {
      place.unshift(number % axis.labels.length);
      number = Math.floor(number / axis.labels.length);
    }
    return place;
  }

  // The cell that differs from another on one axis alone.
  with(number, axis, position) {
    const place = this.place(number);
    place[axis] = position;
    return this.number(place);
  }

  // What each axis says of a cell; labels may be given that are shorter than its own.
  words(number, labels) {
    const place = this.place(number);
    return this.axes.map(({ called, captions, labels: own }, i) =>
      labels ? `${called} ${labels[i][place[i]]}` : (captions?.[place[i]] ?? `${called} ${own[place[i]]}`));
  }

  // The labels of each axis, with its name at most so many letters.
  short(length) {
    return this.axes.map(({ called, labels }) =>
      toldApart(labels, Math.max(12, length - called.length - 1)));
  }

  // The address of the picture that an axis sets at a position; null where there is none.
  picture(axis, position) {
    return this.axes[axis].pictures?.[position] ?? null;
  }

  caption(number) {
    return this.words(number).join(" · ");
  }
}

// Some axes, one within the other, and how far along them a cell is: the last goes fastest, and
// values that are hidden are passed over.
class Side {
  constructor(arrangement, axes) {
    this.places = arrangement.places;
    this.axes = axes;
    this.values = axes.map((axis) => arrangement.visible(axis));
    // How many cells one value of each axis spans.
    this.spans = axes.map((_, i) => this.values.slice(i + 1).reduce((n, { length }) => n * length, 1));
    this.count = this.values.reduce((n, { length }) => n * length, 1);
  }

  // The position on one of the axes of what stands at a place along all of them.
  position(level, at) {
    const values = this.values[level];
    return values[Math.floor(at / this.spans[level]) % values.length];
  }

  label(level, at) {
    return this.places.axes[this.axes[level]].labels[this.position(level, at)];
  }

  find(number) {
    const place = this.places.place(number);
    const steps = this.axes.map((axis, i) => this.values[i].indexOf(place[axis]) * this.spans[i]);
    return steps.reduce((sum, step) => sum + step, 0);
  }

  // The cell that differs from another in standing at a place along these axes.
  at(number, at) {
    const place = this.places.place(number);
    this.axes.forEach((axis, level) => (place[axis] = this.position(level, at)));
    return this.places.number(place);
  }

  // The one that is so many steps further; null beyond the ends.
  step(number, by) {
    const at = this.find(number) + by;
    return at < 0 || at >= this.count ? null : this.at(number, at);
  }
}
