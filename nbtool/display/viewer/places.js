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

  // The cell that differs from another on one axis alone; null beyond the axis' ends.
  with(number, axis, position) {
    if (axis === null || !(position in this.axes[axis].labels)) return null;
    const place = this.place(number);
    place[axis] = position;
    return this.number(place);
  }

  // The next or previous cell along several axes, the last fastest.
  turned(number, axes, by) {
    const place = this.place(number);
    for (const axis of [...axes].reverse()) {
      const length = this.axes[axis].labels.length;
      place[axis] += by;
      if (place[axis] in this.axes[axis].labels) return this.number(place);
      place[axis] = by > 0 ? 0 : length - 1;
    }
    return null;
  }

  words(number, labels = this.axes.map((axis) => axis.labels)) {
    const place = this.place(number);
    return this.axes.map((axis, i) => `${axis.name} ${labels[i][place[i]]}`);
  }

  // The labels of each axis, with its name at most so many letters.
  short(length) {
    return this.axes.map(({ name, labels }) => toldApart(labels, Math.max(12, length - name.length - 1)));
  }

  caption(number) {
    return this.words(number).join(" · ");
  }
}

// Texts of at most so many letters, no two alike: those that would be lose what they have in common
// in the middle, and not what tells them apart at their ends. They are numbered where that fails.
function toldApart(texts, length) {
  const cut = (text) => (text.length > length ? `${text.slice(0, Math.max(1, length - 1))}…` : text);
  const short = texts.map(cut);
  const alike = (places) => {
    const groups = new Map();
    for (const i of places) groups.get(short[i])?.push(i) ?? groups.set(short[i], [i]);
    return [...groups.values()].filter((group) => group.length > 1);
  };
  const groups = alike(short.keys());
  while (groups.length) {
    const group = groups.pop();
    const [first, ...others] = group.map((i) => texts[i]);
    let common = 0;
    while (common < first.length && others.every((text) => text[common] === first[common])) common += 1;
    for (let head = common; head > 0; ) {
      head >>= 1;
      const tails = group.map((i) => cut(`${texts[i].slice(0, head)}…${texts[i].slice(common)}`));
      if (new Set(tails).size === 1) continue;
      group.forEach((i, k) => (short[i] = tails[k]));
      groups.push(...alike(group));
      break;
    }
  }
  for (const i of alike(short.keys()).flat()) short[i] = cut(`${i + 1}: ${texts[i]}`);
  return short;
}

// How cells lie on the sheet: in a table of two axes, or as a list broken into lines.

class TableLayout {
  constructor(places, rows, cols, current) {
    Object.assign(this, { places, rowAxis: rows, colAxis: cols, current });
    this.rows = places.axes[rows].labels.length;
    this.columns = cols === null ? 1 : places.axes[cols].labels.length;
    this.count = this.rows * this.columns;
    this.lines = 0;
  }

  cell(row, column) {
    return this.on(this.current, row, column);
  }

  // The cell at a row and a column of the page that another cell is on.
  on(current, row, column) {
    const number = this.places.with(current, this.rowAxis, row);
    return this.colAxis === null ? number : this.places.with(number, this.colAxis, column);
  }

  find(number) {
    const place = this.places.place(number);
    return [place[this.rowAxis], this.colAxis === null ? 0 : place[this.colAxis]];
  }

  rowLabel(row) {
    return this.places.axes[this.rowAxis].labels[row];
  }

  columnLabel(column) {
    return this.colAxis === null ? "" : this.places.axes[this.colAxis].labels[column];
  }
}

class ListLayout {
  // `captions` gives the lines above a cell, `lines` of them at most.
  constructor(places, numbers, perLine, captions, lines) {
    this.places = places;
    this.numbers = numbers;
    this.columns = Math.max(1, Math.min(perLine, numbers.length));
    this.rows = Math.ceil(numbers.length / this.columns);
    this.count = numbers.length;
    this.captions = captions;
    this.lines = lines;
  }

  cell(row, column) {
    return this.numbers[row * this.columns + column] ?? null;
  }

  // Where a cell is, or the one that took its place in the list.
  find(number) {
    let at = this.numbers.indexOf(number);
    if (at < 0) at = this.numbers.findIndex((other) => other > number);
    if (at < 0) at = Math.max(0, this.numbers.length - 1);
    return [Math.floor(at / this.columns), at % this.columns];
  }
}
