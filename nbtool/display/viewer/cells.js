// The cells of a grid as the host of the enlarged view.

class Cells {
  constructor(view) {
    this.view = view;
  }

  item(number) {
    const { view } = this;
    const state = view.state(number);
    const title = view.caption(number);
    if (state === "f") return { title, alert: "failed", text: view.reason(number) };
    const text = state === "." ? WORDS["."] : "…";
    return { title, url: view.shelf.picture(number), size: view.info.size, text };
  }

  whole(number) {
    return this.view.state(number) === "d" ? this.view.shelf.ask(number) : null;
  }

  // Through the table as one reads, then on to the next page of it.
  beside(number, by) {
    const { view } = this;
    const { layout } = view.sheet;
    const [row, column] = layout.find(number);
    const at = row * layout.columns + column + by;
    const next = layout.cell(Math.floor(at / layout.columns), at % layout.columns);
    if (at >= 0 && at < layout.count) return next;
    if (!view.turns()) return null;
    const turned = view.places.turned(number, view.paged(), by);
    const end = by > 0 ? [0, 0] : [layout.rows - 1, layout.columns - 1];
    return turned === null ? null : layout.on(turned, ...end);
  }

  led(number, key) {
    return /^Page/.test(key) && !this.view.turns() ? null : this.view.keys.moved(key);
  }

  count(number) {
    const { layout } = this.view.sheet;
    const [row, column] = layout.find(number);
    return `${row * layout.columns + column + 1} of ${layout.count}`;
  }

  actions(number) {
    const { marks } = this.view;
    if (this.view.state(number) !== "d") return [];
    const starred = marks.stars.has(number);
    const pinned = marks.pins.includes(number);
    return [
      { name: "Star", label: starred ? "★ Starred" : "☆ Star", pressed: starred, key: "s",
        act: () => marks.star(number) },
      { name: "Pin", label: pinned ? "Pinned" : "Pin", pressed: pinned, key: "p",
        act: () => marks.pin(number) },
    ];
  }

  hint() {
    return this.view.keys.hint();
  }

  moved(number) {
    const { view } = this;
    const { layout } = view.sheet;
    view.goTo(number, layout.cell(...layout.find(number)) !== number);
  }

  closed() {
    this.view.sheet.enter(this.view.current, { focus: true, show: true });
  }
}
