// Above the cells: what there is, which axis lies where, which cells to show, how large.

const LOST = "The kernel was restarted or is gone: run the cell again to star, to try again or for larger pictures.";
const FILTERS = { all: "all", starred: "★ starred", failed: "failed", selected: "selected" };

class Toolbar {
  constructor(view) {
    this.view = view;
    const { info } = view;
    this.summary = make("p", { class: "summary" });
    this.bar = make("div", { class: "bar" }, make("div"));
    this.activity = make("span", {});
    const cancel = button("Cancel", "Cancel", () => toKernel(view.model, { kind: "cancel" }));
    this.job = make("div", { class: "job", role: "status" }, this.bar, this.activity);
    if (info.cancellable) this.job.append(cancel);
    const title = make("h1", { dir: "auto", title: info.title }, info.title || "(no prompt)");
    this.element = make("div", { class: "masthead" }, title, this.summary);
    if (info.note) this.element.append(make("p", {}, info.note));
    this.lost = make("p", { class: "lost", role: "alert" });
    this.element.append(this.lost);
    this.close = whenKernelIsGone(view.model, () => write(this.lost, LOST));
    this.axes = new Axes(view);
    this.values = new Values(view);
    this.show = select("Show", [], "", (value) => view.filterBy(value));
    this.slider = make("input", { type: "range", min: 48, max: 512, step: 4, "aria-label": "Size" });
    this.slider.addEventListener("input", () => view.fitting.choose(Number(this.slider.value)));
    // On a phone all but the pages is folded away.
    this.fold = button("Arrange", "Arrange", () => {
      this.fold.setAttribute("aria-expanded", this.element.classList.toggle("unfolded"));
    });
    this.fold.classList.add("fold");
    this.fold.setAttribute("aria-expanded", false);
    // Below the cells, where their coming and going moves nothing.
    this.compare = button("", "Compare", () => view.compare());
    this.clear = button("", "Clear the selection", () => view.marks.select([]));
    const tools = make("div", { class: "tools choice" }, ...(info.axes.length ? [this.values.element] : []),
      make("label", {}, "Show", this.show), make("label", {}, "Size", this.slider));
    const { zones, pagers, said } = this.axes;
    this.element.append(this.job, make("div", { class: "toolbar" }, this.fold, zones, pagers, tools),
      this.values.line, said);
    this.drawAxes();
    this.update();
  }

  drawAxes() {
    this.axes.draw();
    this.values.update();
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
