// Above the cells: what there is, which axis lies where, which cells to show, how large.

const FILTERS = { all: "all", starred: "★ starred", failed: "failed", selected: "selected" };

class Toolbar {
  constructor(view) {
    this.view = view;
    const { info } = view;
    this.summary = make("p", { class: "summary" });
    this.bar = make("div", { class: "bar" }, make("div"));
    this.activity = make("span", {});
    const cancel = button("Cancel", "Cancel", () => view.model.send({ kind: "cancel" }));
    this.job = make("div", { class: "job", role: "status" }, this.bar, this.activity);
    if (info.cancellable) this.job.append(cancel);
    const title = make("h1", { dir: "auto", title: info.title }, info.title || "(no prompt)");
    this.element = make("div", { class: "masthead" }, title, this.summary);
    if (info.note) this.element.append(make("p", {}, info.note));
    this.axes = make("div", { class: "axes", role: "group", "aria-label": "Axes" });
    this.show = make("select", { "aria-label": "Show" });
    this.show.addEventListener("change", () => view.filterBy(this.show.value));
    this.slider = make("input", { type: "range", min: 48, max: 512, step: 4, "aria-label": "Size" });
    this.slider.addEventListener("input", () => view.resize(Number(this.slider.value)));
    // Below the cells, where their coming and going moves nothing.
    this.compare = button("", "Compare", () => view.compare());
    this.clear = button("", "Clear the selection", () => view.marks.select([]));
    const tools = make("div", { class: "tools" },
      make("label", {}, "Show", this.show), make("label", {}, "Size", this.slider));
    this.element.append(this.job, make("div", { class: "toolbar" }, this.axes, tools));
    this.drawAxes();
    this.update();
  }

  // The axes: each can be chosen for a place or dragged to it.
  drawAxes() {
    const { view } = this;
    const { axes } = view.places;
    const focused = this.axes.querySelector(":focus")?.getAttribute("aria-label");
    this.axes.hidden = !axes.length;
    const zones = [];
    if (axes.length > 1) {
      zones.push(this.zone("Rows", view.rows, (axis) => view.arrange("rows", axis)));
      zones.push(this.zone("Columns", view.cols, (axis) => view.arrange("cols", axis)));
    }
    for (const axis of view.paged()) zones.push(this.pager(axis));
    this.axes.replaceChildren(...zones);
    if (focused)
      for (const again of this.axes.querySelectorAll("select, button"))
        if (again.getAttribute("aria-label") === focused) again.focus();
  }

  select(label, options, chosen, change) {
    const select = make("select", { "aria-label": label });
    for (const [value, text] of options) {
      const option = make("option", { value }, text);
      option.selected = value === chosen;
      select.append(option);
    }
    select.addEventListener("change", () => change(Number(select.value)));
    return select;
  }

  zone(label, axis, change) {
    const options = this.view.places.axes.map(({ name }, i) => [i, name]);
    const choose = (i) => change(i < 0 ? null : i);
    const select = this.select(label, [...options, [-1, "–"]], axis ?? -1, choose);
    return this.movable(axis, make("span", {}, label), change, select);
  }

  pager(axis) {
    const { view } = this;
    const { name, labels } = view.places.axes[axis];
    const here = view.places.place(view.current)[axis];
    const options = labels.map((label, i) => [i, label]);
    const turn = (position) => view.goTo(view.places.with(view.current, axis, position), true);
    const before = button("‹", `Previous ${name}`, () => turn(here - 1));
    const after = button("›", `Next ${name}`, () => turn(here + 1));
    before.disabled = here === 0;
    after.disabled = here === labels.length - 1;
    const select = this.select(name, options, here, turn);
    const swap = (other) => view.swap(axis, other);
    return this.movable(axis, make("span", { dir: "auto" }, name), swap, before, select, after);
  }

  // A place that can be dragged by its name, and takes the axis that is dropped on it.
  movable(axis, handle, take, ...controls) {
    const zone = make("span", { class: "zone" }, handle, ...controls);
    if (this.view.places.axes.length < 2) return zone;
    if (axis !== null) {
      handle.className = "handle";
      handle.draggable = true;
      handle.title = "Drag onto another axis to swap";
      handle.addEventListener("dragstart", (event) => {
        this.dragged = axis;
        event.dataTransfer.setData("text/plain", this.view.places.axes[axis].name);
        event.dataTransfer.effectAllowed = "move";
        event.stopPropagation();
      });
      handle.addEventListener("dragend", () => (this.dragged = null));
    }
    zone.addEventListener("dragover", (event) => {
      if (typeof this.dragged !== "number" || this.dragged === axis) return;
      event.preventDefault();
      event.stopPropagation();
      zone.classList.add("over");
    });
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      if (typeof this.dragged !== "number") return;
      event.preventDefault();
      event.stopPropagation();
      zone.classList.remove("over");
      take(this.dragged);
      this.dragged = null;
    });
    return zone;
  }

  // Counts, and how the job stands.
  update() {
    const { view } = this;
    write(this.summary, view.model.get("summary"));
    const job = view.model.get("progress");
    this.job.hidden = !view.running;
    this.summary.hidden = view.running;
    if (view.running) {
      this.bar.firstChild.style.width = `${(100 * job.fraction).toFixed(1)}%`;
      write(this.activity, job.text);
    }
    const { selection, pins } = view.marks;
    for (const [value, text] of Object.entries(FILTERS)) {
      if (value === "selected" && !view.info.live) continue;
      const count = value === "all" ? "" : ` (${view.listed(value).length})`;
      const option = this.show.querySelector(`[value="${value}"]`);
      if (option) write(option, text + count);
      else this.show.append(make("option", { value }, text + count));
    }
    if (this.show.value !== view.filter) this.show.value = view.filter;
    this.clear.hidden = !selection.size;
    write(this.clear, `${selection.size} selected ✕`);
    this.compare.hidden = !pins.length;
    this.compare.disabled = pins.length < 2;
    write(this.compare, pins.length < 2 ? "1 pinned" : `Compare ${pins.length}`);
    this.compare.setAttribute("aria-label",
      pins.length < 2 ? "Pin another to compare" : `Compare ${pins.length} pinned`);
  }
}
