// The picture on its stage, the mask over it as a colour, and what is seen of the tool in hand.

const COLOUR = [255, 45, 120];
const BAND = 512; // rows that are coloured at once: four bytes for each pixel of them

class Board {
  constructor({ scaled, takes }) {
    this.canvas = make("canvas", { class: "layer", "aria-hidden": "true" });
    this.brush = make("div", { class: "brush", hidden: "" });
    this.marquee = make("div", { class: "marquee", hidden: "" });
    this.marks = make("div", { class: "layer marks", "aria-hidden": "true" }, this.marquee, this.brush);
    this.zoom = new Zoom({ scaled, takes, over: [this.canvas, this.marks] });
    this.stage = this.zoom.stage;
  }

  async show(url, size, alt, mask) {
    await this.zoom.show(url, size, alt);
    [this.canvas.width, this.canvas.height] = size;
    this.mask = mask;
    this.draw(mask.box);
  }

  // A pixel of the mask is the colour, as opaque as it is free.
  draw([left, top, right, bottom]) {
    if (left >= right) return;
    const context = this.canvas.getContext("2d");
    for (let start = top; start < bottom; start += BAND) {
      const end = Math.min(bottom, start + BAND);
      context.putImageData(this.coloured([left, start, right, end]), left, start);
    }
  }

  coloured(box) {
    const part = this.mask.cut(box);
    const pixels = new ImageData(box[2] - box[0], box[3] - box[1]);
    const words = new Uint32Array(pixels.data.buffer);
    const colour = COLOUR[0] + (COLOUR[1] << 8) + (COLOUR[2] << 16);
    for (let i = 0; i < part.length; i += 1) words[i] = part[i] * 2 ** 24 + colour;
    return pixels;
  }

  // Where an event is, in pixels of the picture.
  at({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((clientX - box.left) * this.canvas.width) / box.width,
      ((clientY - box.top) * this.canvas.height) / box.height,
    ];
  }

  // Where the brush would paint; nowhere without a place.
  point(place, size) {
    this.brush.hidden = !place;
    if (!place) return;
    const middle = onPixels(place, size);
    this.brush.classList.toggle("round", size > 2);
    this.lay(this.brush, middle.map((at) => at - size / 2), [size, size]);
  }

  // The box that a rectangle would fill; none without a box.
  outline(box) {
    this.marquee.hidden = !box;
    if (box) this.lay(this.marquee, box, [box[2] - box[0], box[3] - box[1]]);
  }

  lay({ style }, [left, top], [width, height]) {
    const percent = (part, axis) => `${(100 * part) / this.zoom.size[axis]}%`;
    style.left = percent(left, 0);
    style.top = percent(top, 1);
    style.width = percent(width, 0);
    style.height = percent(height, 1);
  }
}
