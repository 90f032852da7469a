// The dialog with pinned images side by side, or how each differs from the first.

const WEAK = 8; // what small differences are multiplied by, to be seen

class Compare {
  constructor(view) {
    this.view = view;
    this.mode = make("select", { "aria-label": "Compare as" },
      make("option", { value: "images" }, "side by side"),
      make("option", { value: "difference" }, "difference from the first"));
    this.mode.addEventListener("change", () => this.draw());
    this.stage = make("div", { class: "pins" });
    const close = button("✕", "Close", () => this.element.close());
    const clear = button("Unpin all", "Unpin all", () => {
      this.element.close();
      view.marks.unpin();
    });
    const top = make("div", { class: "top" }, make("h2", {}, "Pinned"), this.mode, clear, close);
    this.element = make("dialog", { "aria-label": "Pinned images" },
      make("div", { class: "compare" }, top, this.stage));
  }

  get open() {
    return this.element.open;
  }

  show() {
    if (!this.open) this.element.showModal();
    this.draw();
  }

  async draw() {
    const { view } = this;
    const numbers = [...view.marks.pins];
    const wholes = await Promise.all(numbers.map((number) => view.shelf.ask(number)));
    if (!this.open || numbers.join() !== view.marks.pins.join()) return;
    const difference = this.mode.value === "difference";
    const figures = wholes.map(async (whole, i) => {
      const label = view.differing(numbers, i);
      if (whole.error) return figure(make("p", {}, whole.error), label);
      if (difference && i > 0 && !wholes[0].error) return differenceFigure(wholes[0], whole, label);
      const image = make("img", { alt: view.caption(numbers[i]), title: view.caption(numbers[i]) });
      image.src = whole.url;
      return figure(crisp(image), label);
    });
    const done = await Promise.all(figures);
    this.stage.style.setProperty("--aspect", 1 / view.sheet.shape);
    this.stage.style.setProperty("--columns", Math.ceil(Math.sqrt(done.length * 1.4)));
    this.stage.replaceChildren(...done);
  }
}

// Blown up, a picture shows its pixels and is not blurred.
function crisp(image) {
  new ResizeObserver(() => {
    const scale = Math.min(image.clientWidth / image.naturalWidth, image.clientHeight / image.naturalHeight);
    image.classList.toggle("pixels", scale * window.devicePixelRatio > 1.001);
  }).observe(image);
  return image;
}

function figure(content, ...lines) {
  const caption = make("figcaption", {}, ...lines.map((line) => make("div", { dir: "auto" }, line)));
  return make("figure", {}, make("div", { class: "frame" }, content), caption);
}

async function pixels(whole) {
  const bitmap = await createImageBitmap(await loaded(whole.url));
  const canvas = make("canvas", { width: bitmap.width, height: bitmap.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

async function loaded(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

// Per pixel and channel the absolute difference; black where there is none.
async function differenceFigure(first, second, label) {
  const [one, other] = await Promise.all([pixels(first), pixels(second)]);
  if (one.width !== other.width || one.height !== other.height)
    return figure(make("p", {}, "not the same size"), label);
  let sum = 0;
  let most = 0;
  for (let i = 0; i < one.data.length; i += 4)
    for (let channel = i; channel < i + 3; channel += 1) {
      const distance = Math.abs(one.data[channel] - other.data[channel]);
      sum += distance;
      most = Math.max(most, distance);
      other.data[channel] = WEAK * distance;
    }
  for (let i = 3; i < other.data.length; i += 4) other.data[i] = 255;
  const mean = sum / (one.width * one.height * 3);
  const words = most ? `mean ${mean.toFixed(2)}, at most ${most} of 255 (shown ×${WEAK})` : "no difference";
  const canvas = make("canvas", { width: one.width, height: one.height, role: "img", "aria-label": words });
  canvas.getContext("2d").putImageData(other, 0, 0);
  return figure(canvas, label, words);
}
