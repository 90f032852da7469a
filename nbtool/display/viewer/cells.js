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
    return this.view.shelf.ask(number);
  }

  // Through the table as one reads, block by block and page by page.
  beside(number, by) {
    const { shown, arrangement } = this.view;
    if (shown) return shown[shown.indexOf(number) + by] ?? null;
    return arrangement.sequence.step(number, by);
  }

  led(number, key) {
    return /^Page/.test(key) && !this.view.turns() ? null : this.view.keys.moved(number, key);
  }

  count(number) {
    const { shown, arrangement } = this.view;
    if (shown) return `${shown.indexOf(number) + 1} of ${shown.length}`;
    const { sequence } = arrangement;
    return `${(sequence.find(number) + 1).toLocaleString("en")} of ${sequence.count.toLocaleString("en")}`;
  }

  // The axes that can be played: over and over along one, all else as it is.
  ways() {
    const { shown, arrangement, places } = this.view;
    if (shown) return [];
    return ["cols", "rows", "blocks", "pages"].flatMap((where) => [...arrangement.in(where)].reverse())
      .map((axis) => [axis, new Side(arrangement, [axis])])
      .filter(([, side]) => side.count > 1)
      .map(([axis, side]) => ({
        name: places.axes[axis].called,
        step: (number) => side.step(number, 1) ?? side.at(number, 0),
      }));
  }

  actions(number, whole) {
    const { marks, model, info } = this.view;
    const state = this.view.state(number);
    if (state === "f" && info.live && whole?.again)
      return [{ name: "Try again", label: "Try again", act: () => toKernel(model, { kind: "again", cell: number }) }];
    if (state !== "d") return [];
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

  // The browser gives the focus back to where it was, which may be another cell.
  closed(number) {
    this.view.current = number;
    this.view.sheet.enter(number, { focus: true, show: true });
  }
}
