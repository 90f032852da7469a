// The values of a mask, a byte for each pixel: 255 where it is free, 0 where it is protected. A box
// is [left, top, right, bottom] in pixels; right and bottom are outside of it.

class Mask {
  constructor(width, height, values = new Uint8Array(width * height)) {
    Object.assign(this, { width, height, values });
  }

  get box() {
    return [0, 0, this.width, this.height];
  }

  // What part of all is free; gray counts in part.
  get share() {
    let sum = 0;
    for (const value of this.values) sum += value;
    return sum / 255 / this.values.length;
  }

  at([x, y]) {
    return this.values[y * this.width + x];
  }

  cut([left, top, right, bottom]) {
    const part = new Uint8Array((right - left) * (bottom - top));
    for (let y = top; y < bottom; y += 1)
      part.set(this.values.subarray(y * this.width + left, y * this.width + right), (y - top) * (right - left));
    return part;
  }

  paste([left, top, right, bottom], part) {
    for (let y = top; y < bottom; y += 1) {
      const row = (y - top) * (right - left);
      this.values.set(part.subarray(row, row + right - left), y * this.width + left);
    }
  }

  fill([left, top, right, bottom], value) {
    for (let y = top; y < bottom; y += 1)
      this.values.fill(value, y * this.width + left, y * this.width + right);
  }

  // A round brush drawn from one place to another; the box that it may have changed. A pixel is
  // painted if its middle is under the brush.
  stroke(from, to, size, value) {
    const [one, other] = [onPixels(from, size), onPixels(to, size)];
    const reach = (axis) => [Math.min(one[axis], other[axis]) - size, Math.max(one[axis], other[axis]) + size];
    const [[left, right], [top, bottom]] = [reach(0), reach(1)];
    const box = this.inside([Math.floor(left), Math.floor(top), Math.ceil(right), Math.ceil(bottom)]);
    for (let y = box[1]; y < box[3]; y += 1) {
      const [start, end] = crossing(one, other, size / 2, y + 0.5);
      const first = Math.max(box[0], Math.ceil(start - 0.5 - TINY));
      const last = Math.min(box[2] - 1, Math.floor(end - 0.5 + TINY));
      if (first <= last) this.values.fill(value, y * this.width + first, y * this.width + last + 1);
    }
    return box;
  }

  inside([left, top, right, bottom]) {
    const within = (at, most) => Math.min(most, Math.max(0, at));
    return [
      within(left, this.width), within(top, this.height),
      within(right, this.width), within(bottom, this.height),
    ];
  }
}

const TINY = 1e-9;

// The middle of a brush, so that what it paints is the same wherever in a pixel it is put.
function onPixels(place, size) {
  return place.map((at) => (size % 2 ? Math.floor(at) + 0.5 : Math.round(at)));
}

// Where a row crosses a brush that was drawn from one place to another: two circles, and what lies
// between them.
function crossing(one, other, radius, row) {
  const found = [];
  for (const [x, y] of [one, other]) {
    const half = Math.sqrt(radius ** 2 - (row - y) ** 2);
    if (!Number.isNaN(half)) found.push(x - half, x + half);
  }
  const [across, down] = [other[0] - one[0], other[1] - one[1]];
  const length = Math.hypot(across, down);
  for (const side of length ? [-radius / length, radius / length] : []) {
    const from = [one[0] - down * side, one[1] + across * side];
    const part = down ? (row - from[1]) / down : -1;
    if (part >= 0 && part <= 1) found.push(from[0] + across * part);
  }
  return [Math.min(...found), Math.max(...found)];
}

// Both boxes and what lies between them.
function around(one, other) {
  if (!one || !other) return one ?? other;
  return [
    Math.min(one[0], other[0]), Math.min(one[1], other[1]),
    Math.max(one[2], other[2]), Math.max(one[3], other[3]),
  ];
}
