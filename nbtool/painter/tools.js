// What stands above the stage, tools and what is done to all of the mask, and what stands below it.

const TOOLS = {
  brush: ["Brush", "Paint what is to be made anew (B)"],
  eraser: ["Eraser", "Protect again (E)"],
  rectangle: ["Rectangle", "Paint a rectangle; with Alt erase one (R)"],
  move: ["Move", "Move the picture; the wheel zooms (H)"],
  extend: ["Extend", "Make the picture larger at its edges (X)"],
};

class Tools {
  constructor(view) {
    this.view = view;
    this.buttons = Object.entries(TOOLS).map(([name, [label, title]]) => {
      const one = button(label, label, () => view.take(name));
      one.title = title;
      one.dataset.tool = name;
      return one;
    });
    this.size = slider("Size", 1, 1, (value) => view.setBrush(value));
    this.shade = slider("Overlay", 10, 100, (value) => this.cover(value));
    this.shade.input.value = 55;
    this.undo = button("Undo", "Undo", () => view.undo());
    this.redo = button("Redo", "Redo", () => view.redo());
    this.alpha = button("From alpha", "From alpha", () => view.loadAlpha());
    this.alpha.title = "Mask what is transparent in the picture";
    this.scales = new Scales(view.board.zoom);
    const group = (label, ...parts) => make("div", { class: "group", role: "group", "aria-label": label }, ...parts);
    this.element = make("div", { class: "tools" },
      group("Tool", ...this.buttons), this.size.element, group("History", this.undo, this.redo),
      group("Mask", button("Invert", "Invert", () => view.invert()),
        button("Clear", "Clear", () => view.clear()), this.alpha));
    this.line = make("output", { "aria-live": "off" });
    this.below = make("div", { class: "foot" }, this.line, this.shade.element, this.scales.element);
  }

  // How far the colour of the mask hides the picture.
  cover(percent) {
    this.view.board.canvas.style.opacity = percent / 100;
    this.shade.tell(`${percent} %`);
  }

  fit(largest) {
    this.size.input.max = largest;
  }

  update() {
    const { view } = this;
    for (const one of this.buttons) one.setAttribute("aria-pressed", one.dataset.tool === view.tool);
    this.size.input.value = view.brush;
    this.size.tell(`${view.brush} px`);
    this.cover(this.shade.input.value);
    disable(this.undo, !view.history.done.length);
    disable(this.redo, !view.history.undone.length);
    this.alpha.hidden = !view.model.get("transparent");
  }
}

// A labelled slider and what it says beside it: {element, input, tell(words)}.
function slider(label, least, most, change) {
  const input = make("input", { type: "range", min: least, max: most });
  const said = make("span", { class: "said" });
  input.addEventListener("input", () => change(Number(input.value)));
  const tell = (words) => {
    write(said, words);
    input.setAttribute("aria-valuetext", words);
  };
  return { element: make("label", {}, label, input, said), input, tell };
}
