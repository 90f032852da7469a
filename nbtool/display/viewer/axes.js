// Where the axes lie: each can be chosen for a place, dragged to one, or taken there by keys.

const ZONES = {
  rows: ["Rows", "down"],
  cols: ["Columns", "across"],
  blocks: ["Blocks", "in blocks"],
};
const HANDLE = "Drag onto another axis to swap, onto + to join it; ← → take it to another place, ↑ ↓ outwards and inwards";

class Axes {
  constructor(view) {
    this.view = view;
    this.players = new Map();
    this.zones = make("div", { class: "axes choice", role: "group", "aria-label": "Axes" });
    this.pagers = make("div", { class: "axes", role: "group", "aria-label": "Pages" });
    this.said = make("span", { class: "unseen", role: "status" });
  }

  draw() {
    const { arrangement } = this.view;
    const focused = this.focused();
    const several = arrangement.places.axes.length > 1;
    const paged = arrangement.in("pages");
    const offered = PLACES.filter((where) =>
      where !== "blocks" || arrangement.places.axes.length > 2 || paged.length || arrangement.blocks.length);
    this.zones.replaceChildren(...(several ? offered.map((where) => this.zone(where)) : []));
    for (const [axis, player] of this.players) if (!paged.includes(axis)) player.stop();
    this.pagers.replaceChildren(...paged.map((axis) => this.pager(axis)));
    this.zones.hidden = !several;
    this.pagers.hidden = !paged.length;
    if (focused) this.again(focused);
  }

  // Which control has the focus, to be found again when all are drawn anew.
  focused() {
    const control = this.zones.querySelector(":focus") ?? this.pagers.querySelector(":focus");
    return control && [control.dataset.axis, control.getAttribute("aria-label")];
  }

  again([axis, label]) {
    const controls = [this.zones, this.pagers].flatMap((part) => [...part.querySelectorAll("select, .button, .handle")]);
    const found = controls.find((one) => axis !== undefined && one.dataset.axis === axis)
      ?? controls.find((one) => one.getAttribute("aria-label") === label && !one.disabled)
      ?? controls.find((one) => !one.disabled && !one.hidden);
    found?.focus();
  }

  zone(where) {
    const { arrangement } = this.view;
    const [name, which] = ZONES[where];
    const axes = arrangement[where];
    const zone = make("span", { class: "zone" }, make("span", {}, name));
    const options = arrangement.places.axes.map(({ called }, axis) => [axis, called]);
    const chosen = axes.length ? axes : [null];
    chosen.forEach((axis, i) => {
      const label = i ? `Axis ${i + 1} ${which}` : name;
      const take = (other) => this.change(() => this.put(axis, other, where));
      const chooser = select(label, [...options, [-1, "–"]], axis ?? -1, (value) => take(Number(value)));
      if (axis !== null) chooser.title = arrangement.places.axes[axis].name;
      const chip = make("span", { class: "chip" }, ...(axis === null ? [] : [this.handle(axis)]), chooser);
      this.takes(chip, axis, take);
      zone.append(chip);
    });
    const others = options.filter(([axis]) => !axes.includes(axis));
    if (axes.length && others.length) {
      const join = (axis) => this.change(() => arrangement.move(axis, where));
      const more = select(`Add an axis ${which}`, [["", "+"], ...others], "", (value) => join(Number(value)));
      more.className = "more";
      this.takes(more, null, join);
      zone.append(more);
    }
    return zone;
  }

  // What is chosen for a place: another axis, which gives its own place to this one, or none.
  put(axis, other, where) {
    const { arrangement } = this.view;
    if (other < 0) arrangement.move(axis, "pages");
    else if (axis === null) arrangement.move(other, where);
    else arrangement.swap(axis, other);
  }

  pager(axis) {
    const { arrangement, places, current } = this.view;
    const { called, labels, name } = places.axes[axis];
    const positions = arrangement.visible(axis);
    const here = positions.indexOf(places.place(current)[axis]);
    const turn = (at) => this.view.goTo(places.with(this.view.current, axis, positions[at]), true);
    const before = button("‹", `Previous ${called}`, () => turn(here - 1));
    const after = button("›", `Next ${called}`, () => turn(here + 1));
    before.disabled = here === 0;
    after.disabled = here === positions.length - 1;
    const options = positions.map((position, at) => [at, labels[position]]);
    const chooser = select(called, options, here, (at) => turn(Number(at)));
    chooser.title = name;
    const shown = [places.picture(axis, positions[here])].filter(Boolean).map(pictured);
    const pager = make("span", { class: "zone" }, this.handle(axis, called), before, chooser, ...shown, after);
    if (positions.length > 1) pager.append(this.player(axis).element);
    this.takes(pager, axis, (other) => this.change(() => arrangement.swap(axis, other)));
    return pager;
  }

  player(axis) {
    const { view } = this;
    const advance = () => {
      const side = new Side(view.arrangement, [axis]);
      view.goTo(side.step(view.current, 1) ?? side.at(view.current, 0), true);
    };
    if (!this.players.has(axis)) this.players.set(axis, new Player(view.places.axes[axis].called, advance));
    return this.players.get(axis);
  }

  change(what) {
    what();
    this.view.rearranged();
  }

  // What an axis is dragged by, and moved by with keys.
  handle(axis, text = "") {
    const { called, name } = this.view.places.axes[axis];
    if (this.view.places.axes.length < 2) return make("span", { dir: "auto", title: name }, text);
    const handle = make("span", { class: "handle", role: "button", tabindex: 0, draggable: true,
      dir: "auto", "aria-label": `Move ${called}`, title: HANDLE, "data-axis": axis }, text);
    handle.addEventListener("dragstart", (event) => {
      this.dragged = axis;
      event.dataTransfer.setData("text/plain", called);
      event.dataTransfer.effectAllowed = "move";
      event.stopPropagation();
    });
    handle.addEventListener("dragend", () => (this.dragged = null));
    handle.addEventListener("keydown", (event) => {
      const [inwards, sideways] = ARROWS[event.key] ?? [0, 0];
      if (!inwards && !sideways) return;
      event.preventDefault();
      this.change(() => this.shift(axis, sideways, inwards));
      this.tellPlace(axis);
    });
    return handle;
  }

  shift(axis, sideways, inwards) {
    const { arrangement } = this.view;
    const all = [...PLACES, "pages"];
    const where = arrangement.where(axis);
    if (sideways) arrangement.move(axis, all[(all.indexOf(where) + sideways + all.length) % all.length]);
    const there = arrangement.in(where);
    const other = there[there.indexOf(axis) + inwards];
    if (inwards && other !== undefined) arrangement.swap(axis, other);
  }

  tellPlace(axis) {
    const { arrangement, places } = this.view;
    const where = arrangement.where(axis);
    const among = arrangement.in(where);
    const order = among.length > 1 ? `, ${among.indexOf(axis) + 1} of ${among.length}` : "";
    write(this.said, `${places.axes[axis].called}: ${(ZONES[where] ?? ["Pages"])[0]}${order}`);
  }

  // A place that takes an axis that is dropped on it, but not the one that lies there.
  takes(place, axis, take) {
    place.addEventListener("dragover", (event) => {
      if (typeof this.dragged !== "number" || this.dragged === axis) return;
      event.preventDefault();
      event.stopPropagation();
      place.classList.add("over");
    });
    place.addEventListener("dragleave", () => place.classList.remove("over"));
    place.addEventListener("drop", (event) => {
      if (typeof this.dragged !== "number") return;
      event.preventDefault();
      event.stopPropagation();
      take(this.dragged);
      this.dragged = null;
    });
  }
}
