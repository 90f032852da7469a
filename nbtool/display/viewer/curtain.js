// What was before drawn over what came after, as far as a divider that is moved by hand or by keys.
//
//   const curtain = new Curtain();
//   curtain.show({ url, alt, fit });     // what was before; `fit` is CSS's object-fit, "fill" at first
//   stage.append(curtain.element);       // over what came after, and as large as it is
//   curtain.to(30);                      // percent from the left
//
// `beforeAfter(before, after)` gives both pictures, of {url, alt, fit}, as one element for a page.

class Curtain {
  constructor() {
    this.image = make("img", { draggable: false });
    this.veil = make("div", { class: "veil" }, this.image, make("span", { "aria-hidden": "true" }, "Before"));
    this.divider = make("div", {
      class: "divider", role: "slider", tabindex: 0, "aria-label": "Before and after",
      "aria-valuemin": 0, "aria-valuemax": 100,
    });
    const after = make("span", { "aria-hidden": "true" }, "After");
    this.element = make("div", { class: "layer curtain" }, after, this.veil, this.divider);
    this.divider.addEventListener("keydown", (event) => this.key(event));
    this.divider.addEventListener("pointerdown", (event) => this.press(event));
    this.divider.addEventListener("pointermove", (event) => this.drag(event));
    this.to(50);
  }

  show({ url, alt, fit = "fill" }) {
    if (this.image.src !== url) this.image.src = url;
    this.image.alt = alt;
    this.image.style.objectFit = fit;
  }

  to(percent) {
    this.at = Math.min(100, Math.max(0, percent));
    this.veil.style.clipPath = `inset(0 ${100 - this.at}% 0 0)`;
    this.divider.style.left = `${this.at}%`;
    const shown = Math.round(this.at);
    this.divider.setAttribute("aria-valuenow", shown);
    this.divider.setAttribute("aria-valuetext", `${shown} % before, ${100 - shown} % after`);
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const by = event.shiftKey ? 10 : 1;
    const steps = { ArrowLeft: -by, ArrowDown: -by, ArrowRight: by, ArrowUp: by, PageDown: -10, PageUp: 10, Home: -100, End: 100 };
    if (!(event.key in steps)) return;
    this.to(this.at + steps[event.key]);
    event.preventDefault();
    event.stopPropagation(); // around it the same keys lead to other pictures
  }

  press(event) {
    if (event.button) return;
    this.divider.setPointerCapture(event.pointerId);
    this.divider.focus({ focusVisible: false });
    event.stopPropagation(); // the picture below is not moved
  }

  drag(event) {
    if (!this.divider.hasPointerCapture(event.pointerId)) return;
    const box = this.element.getBoundingClientRect();
    this.to((100 * (event.clientX - box.left)) / box.width);
    event.stopPropagation();
  }
}

function beforeAfter(before, after) {
  const curtain = new Curtain();
  curtain.show(before);
  return make("div", { class: "nbtool-curtain" }, make("img", { src: after.url, alt: after.alt }), curtain.element);
}
