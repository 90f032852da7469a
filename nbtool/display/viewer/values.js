// Which values of the axes are shown, and a line that says which are not.

const MAX_NAMED = 8; // hidden values, one by one

class Values {
  constructor(view) {
    this.view = view;
    this.list = make("div", { class: "list" });
    const summary = make("summary", { class: "button" }, "Values");
    this.element = make("details", { class: "values" }, summary, this.list);
    this.line = make("div", { class: "hiding", role: "group", "aria-label": "Hidden values" });
    this.element.addEventListener("toggle", () => this.element.open && this.draw());
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.element.open) return;
      this.element.open = false;
      summary.focus();
    });
    this.element.addEventListener("focusout", ({ relatedTarget }) => {
      if (relatedTarget && !this.element.contains(relatedTarget)) this.element.open = false;
    });
    this.outside = ({ target }) => !this.element.contains(target) && (this.element.open = false);
    document.addEventListener("pointerdown", this.outside);
  }

  close() {
    document.removeEventListener("pointerdown", this.outside);
  }

  draw() {
    const { places } = this.view;
    this.boxes = places.axes.map(({ labels }, axis) => labels.map((label, position) => {
      const box = make("input", { type: "checkbox" });
      box.addEventListener("change", () => this.hide(axis, position, !box.checked));
      return box;
    }));
    this.list.replaceChildren(...places.axes.map(({ called, labels, name }, axis) =>
      make("fieldset", {}, make("legend", { dir: "auto", title: name }, called),
        ...labels.map((label, position) =>
          make("label", { dir: "auto" }, this.boxes[axis][position], make("span", {}, label))))));
    this.update();
  }

  hide(axis, position, hidden) {
    this.view.arrangement.hide(axis, position, hidden);
    this.view.rearranged();
    write(this.view.toolbar.axes.said, `${this.said(axis, position)} is ${hidden ? "hidden" : "shown"}`);
  }

  said(axis, position) {
    const { called, captions, labels } = this.view.places.axes[axis];
    return captions?.[position] ?? `${called} ${labels[position]}`;
  }

  update() {
    const { arrangement } = this.view;
    if (this.element.open)
      this.boxes?.forEach((boxes, axis) => boxes.forEach((box, position) => {
        box.checked = !arrangement.hidden[axis].has(position);
        box.disabled = box.checked && arrangement.visible(axis).length === 1;
      }));
    const hiding = arrangement.hiding;
    this.line.hidden = !hiding.length;
    const named = hiding.slice(0, MAX_NAMED).map(([axis, position]) => {
      const text = this.said(axis, position);
      return button(`${text} ✕`, `Show ${text} again`, () => this.hide(axis, position, false));
    });
    const more = hiding.length - named.length;
    const all = button("Show all", "Show all values again", () => {
      for (const [axis, position] of hiding) arrangement.hide(axis, position, false);
      this.view.rearranged();
    });
    const focused = this.line.contains(this.line.getRootNode().activeElement);
    this.line.replaceChildren(make("span", {}, "Hidden:"), ...named, ...(more ? [`and ${more} more`] : []), all);
    if (focused) (hiding.length ? all : this.element.firstChild).focus();
  }
}
