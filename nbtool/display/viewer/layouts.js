// How cells lie on the sheet: in a table or in blocks of tables, or as a list broken into lines.

const GAP = 6; // between cells
const GROUP = 10; // more, between what the outer of several axes sets apart
const BETWEEN = 28; // blocks

class TableLayout {
  // `perLine` blocks stand side by side.
  constructor(arrangement, current, perLine) {
    this.places = arrangement.places;
    this.current = current;
    this.down = arrangement.side("rows");
    this.across = arrangement.side("cols");
    this.blocks = arrangement.side("blocks");
    this.perLine = Math.min(perLine, this.blocks.count);
    this.blocked = this.blocks.axes.length > 0;
    this.rows = this.down.count * Math.ceil(this.blocks.count / this.perLine);
    this.columns = this.across.count * this.perLine;
    this.count = this.blocks.count * this.down.count * this.across.count;
    this.lines = 0;
  }

  cell(row, column) {
    if (row < 0 || column < 0 || row >= this.rows || column >= this.columns) return null;
    const block = Math.floor(row / this.down.count) * this.perLine + Math.floor(column / this.across.count);
    if (block >= this.blocks.count) return null;
    const number = this.blocks.at(this.current, block);
    return this.across.at(this.down.at(number, row % this.down.count), column % this.across.count);
  }

  find(number) {
    const block = this.blocks.find(number);
    return [
      Math.floor(block / this.perLine) * this.down.count + this.down.find(number),
      (block % this.perLine) * this.across.count + this.across.find(number),
    ];
  }

  // Where a column begins, for a width of cells; the same for rows.
  left(column, width) {
    return column * width + gaps(this.across, column);
  }

  top(row, height, heading) {
    const above = this.blocked ? (1 + Math.floor(row / this.down.count)) * heading : 0;
    return row * height + gaps(this.down, row) + above;
  }
}

// What lies between blocks, and between the groups in them, before the place at `at`.
function gaps({ count, spans }, at) {
  const groups = spans.slice(0, -1).reduce((sum, span) =>
    sum + Math.floor((at % count) / span) + Math.floor(at / count) * (count / span - 1), 0);
  return groups * GROUP + Math.floor(at / count) * BETWEEN;
}

class ListLayout {
  // `captions` gives the lines above a cell, `lines` of them at most.
  constructor(places, numbers, perLine, captions, lines) {
    this.places = places;
    this.numbers = numbers;
    this.columns = Math.max(1, Math.min(perLine, numbers.length));
    this.rows = Math.ceil(numbers.length / this.columns);
    this.count = numbers.length;
    this.axis = null; // the one axis that it follows, if it does
    this.captions = captions;
    this.lines = lines;
  }

  cell(row, column) {
    if (row < 0 || column < 0 || column >= this.columns) return null;
    return this.numbers[row * this.columns + column] ?? null;
  }

  // Where a cell is, or the one that took its place in the list.
  find(number) {
    let at = this.numbers.indexOf(number);
    if (at < 0) at = this.numbers.findIndex((other) => other > number);
    if (at < 0) at = Math.max(0, this.numbers.length - 1);
    return [Math.floor(at / this.columns), at % this.columns];
  }

  left(column, width) {
    return column * width;
  }

  top(row, height) {
    return row * height;
  }
}
