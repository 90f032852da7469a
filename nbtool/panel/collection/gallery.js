// The gallery: images, saved sweeps and the queue in one place. It has the keys of all images;
// what their tiles show is asked for when they come into sight.

const SECTIONS = { images: "Images", sweeps: "Sweeps", queue: "Queue" };
const NARROW = 520; // pixels
const DRAGGED = "application/x-nbtool-image";
const SAYING = 400; // milliseconds after the last change
const LOOKING = 3000; // milliseconds between two looks at what others did to the store

class Gallery {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.facts = new Map(); // of the tiles that were sent, by key
    this.shelf = new Shelf(model);
    this.choice = new Choice();
    this.tiles = new TileGrid(this, this.choice);
    this.search = new Search(model);
    this.tools = new Tools(this, model.get("folder"));
    this.said = new Said(model);
    this.trash = new Trash(model);
    this.sweeps = new Sweeps(model);
    this.queue = new Queue(model);
    this.enlarged = new Enlarged(this);
    this.counted = make("span", { class: "nbtool-count", role: "status" });
    this.nothing = make("p", { class: "nbtool-none" }, "");
    this.all = button("Show all images", "Show all images", () => this.search.everything());
    this.images = make("div", { class: "nbtool-images-of-store" }, this.search.element,
      this.tools.element, this.tools.form, this.nothing, this.all, this.tiles.element, this.trash.element);
    this.tabs = new Map(Object.keys(SECTIONS).map((name) => [name, this.tab(name)]));
    this.bar = make("div", { class: "nbtool-sections", role: "group", "aria-label": "Gallery" }, ...this.tabs.values());
    const head = make("div", { class: "nbtool-library-head" }, this.bar, this.counted);
    this.root = make("div", { class: "nbtool-library" }, head, this.said.element,
      this.images, this.sweeps.element, this.queue.element, this.enlarged.element);
    el.append(this.root);
    this.listen();
    this.arrive();
    this.sections();
    this.order();
  }

  listen() {
    const { model } = this;
    this.heard = {
      "change:recent": () => this.order(), "change:stored": () => this.order(),
      "change:making": () => this.settle(), "change:selected": () => this.follow(),
      "change:total": () => this.tell(), "change:found": () => this.tell(),
      "change:asked": () => this.search.show(), "change:models": () => this.search.show(),
      "change:said": () => this.said.show(), "change:deleted": () => this.trash.show(),
      "change:sweeps": () => this.sweeps.show(), "change:opened": () => this.sweeps.show(),
      "change:queue": () => this.jobs(), "change:section": () => this.sections(),
      "msg:custom": (content) => this.receive(content),
    };
    for (const [name, act] of Object.entries(this.heard)) model.on(name, act);
    this.shelf.watchers.add((keys) => this.came(keys));
    this.watch = new ResizeObserver(([{ contentRect }]) =>
      this.root.classList.toggle("nbtool-narrow", contentRect.width < NARROW));
    this.watch.observe(this.root);
    this.tiles.element.addEventListener("keydown", (event) => this.key(event));
    this.onWindow = {
      keydown: (event) => this.guard(event), focus: () => this.look(),
      dragover: (event) => this.over(event), drop: (event) => this.dropped(event),
      dragend: () => this.rest(),
    };
    for (const [name, act] of Object.entries(this.onWindow)) window.addEventListener(name, act, true);
    this.images.addEventListener("pointerenter", () => this.look());
  }

  // What others did to the store meanwhile is seen when somebody comes back to it.
  look() {
    if (!this.root.isConnected || Date.now() - (this.lookedAt ?? Date.now()) < LOOKING) return;
    this.arrive();
    this.model.send({ kind: "look" });
  }

  arrive() {
    this.lookedAt = Date.now();
  }

  // Keys and their order.

  order() {
    const stored = this.model.get("stored");
    if (stored !== this.bytes) {
      this.bytes = stored;
      this.stored = keysIn(stored);
    }
    const keys = [...this.model.get("recent"), ...this.stored];
    if (this.enlarged.open && !keys.includes(this.enlarged.id)) this.enlarged.element.close();
    this.tiles.order(keys);
    const { thumbnails } = this.shelf;
    for (const key of this.facts.keys())
      if (!this.choice.places.has(key) && !thumbnails.has(key)) this.facts.delete(key);
    for (const key of this.shelf.previews.keys())
      if (!this.choice.places.has(key)) this.shelf.dropPreview(key);
    this.tell();
    this.tools.show(this.chosen);
    this.enlarged.update();
  }

  // What was in the making is there now: its tile is asked for.
  settle() {
    this.tiles.draw();
    this.tiles.refresh();
  }

  get chosen() {
    return this.choice.listed(new Set(this.model.get("making")));
  }

  // What tiles ask for.

  words(key) {
    return this.facts.get(key);
  }

  picture(key) {
    return this.shelf.picture(key);
  }

  making(key) {
    return this.model.get("making").includes(key);
  }

  looked(key) {
    return key === this.model.get("selected");
  }

  see(keys, edge) {
    this.shelf.see(this, keys.filter((key) => !this.making(key)), Math.min(edge, 448));
  }

  act(name, key, event) {
    const { choice } = this;
    if (name === "sight") return this.tell();
    if (this.making(key)) return;
    if (name === "dblclick") return this.enlarged.show(key);
    if (name === "dragstart") return this.drag(key, event);
    if (name === "star") return this.send("star", { starred: !this.words(key)?.starred }, [key]);
    const more = event.ctrlKey || event.metaKey;
    if (event.shiftKey) choice.range(key, more);
    else if (more) choice.toggle(key);
    else choice.one(key);
    if (!more && !event.shiftKey) this.select(key);
    this.changed();
    this.tiles.focus(key);
  }

  receive(content) {
    if (content.words) {
      for (const [key, words] of Object.entries(content.words)) this.facts.set(key, words);
      this.came(Object.keys(content.words));
    } else if (content.kind === "stale") {
      for (const key of content.keys) {
        const entry = this.shelf.thumbnails.get(key);
        if (entry) entry.edge = -1; // asked for again when it is in sight; shown until then
        const whole = this.shelf.whole.get(key);
        if (whole) this.shelf.drop(this.shelf.whole, key);
      }
      this.shelf.told.clear();
      this.tiles.draw();
      // What it shows and offers as a download is of a file that was dropped.
      const { open, id, whole } = this.enlarged;
      if (open && content.keys.includes(id)) this.enlarged.show(id, whole);
    }
  }

  came(keys) {
    this.tiles.refresh(keys);
    this.tools.show(this.chosen);
    this.enlarged.update();
  }

  // What is chosen, and what is looked at.

  select(key) {
    this.model.set("selected", key);
    this.model.save_changes();
  }

  follow() {
    this.tiles.refresh();
    const key = this.model.get("selected");
    if (!key || this.tiles.grid.contains(document.activeElement)) return;
    this.choice.current = this.choice.places.has(key) ? key : this.choice.current;
  }

  changed() {
    this.tiles.refresh();
    this.tools.show(this.chosen);
    this.tell();
  }

  none() {
    this.choice.none();
    this.changed();
    this.tiles.focus();
  }

  focus() {
    this.tiles.focus();
  }

  star(starred) {
    this.send("star", { starred });
  }

  send(kind, more = {}, keys = this.chosen) {
    if (keys.length) this.model.send({ kind, cells: keys, ...more });
  }

  // Shortcuts of JupyterLab's that mean something else here: Ctrl+A and its like.
  guard(event) {
    if (!this.tiles.element.contains(event.target)) return;
    const combined = event.ctrlKey || event.metaKey;
    const ours = !combined || event.key.toLowerCase() === "a" || event.key in ARROWS || event.key === " ";
    this.tiles.element.toggleAttribute("data-lm-suppress-shortcuts", ours);
  }

  key(event) {
    const { choice, tiles } = this;
    const { key, shiftKey } = event;
    const combined = event.ctrlKey || event.metaKey;
    if (event.altKey || !tiles.grid.contains(event.target)) return;
    if (event.target.matches("button") && (key === "Enter" || key === " ")) return;
    const { current } = choice;
    const to = tiles.led(key);
    if (to !== null) {
      choice.anchor ??= current;
      if (shiftKey) choice.range(to, combined);
      else if (!combined && !this.making(to)) {
        choice.one(to);
        this.select(to);
      } else choice.current = to;
      this.changed();
      tiles.focus(to);
    } else if (combined && key.toLowerCase() === "a") choice.all();
    else if (key === " ") combined || shiftKey ? choice.toggle(current) : this.press(current);
    else if (combined) return;
    else if (key === "Escape" && choice.keys.size) choice.none();
    else if (key === "Enter" && !this.making(current)) this.enlarged.show(current);
    else if ((key === "Delete" || key === "Backspace") && this.chosen.length) this.send("delete");
    else if (key.toLowerCase() === "s" && this.at.length)
      this.send("star", { starred: !this.at.every((one) => this.words(one)?.starred) }, this.at);
    else return;
    event.preventDefault();
    event.stopPropagation();
    if (to === null) this.changed();
  }

  press(key) {
    this.choice.one(key);
    if (!this.making(key)) this.select(key);
  }

  // What a key acts on: what is chosen, or else where the keyboard is.
  get at() {
    if (this.chosen.length) return this.chosen;
    return this.choice.current && !this.making(this.choice.current) ? [this.choice.current] : [];
  }

  // An image is dragged onto the form, for its settings.

  drag(key, event) {
    event.dataTransfer.setData(DRAGGED, key);
    event.dataTransfer.effectAllowed = "copy";
    const image = event.target.querySelector("img");
    if (image?.naturalWidth) event.dataTransfer.setDragImage(image, 24, 24);
    this.dragged = key;
  }

  over(event) {
    if (!this.dragged) return;
    this.mark(this.form(event.target));
    if (!this.marked) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    event.dataTransfer.dropEffect = "copy";
  }

  dropped(event) {
    const key = this.dragged;
    if (!key || !this.form(event.target)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    this.rest();
    this.send("use", {}, [key]);
  }

  rest() {
    this.dragged = null;
    this.mark(null);
  }

  // The form of this panel that an element is in.
  form(target) {
    const form = target.closest?.(".nbtool-form, .nbtool-left, .nbtool-ask, .nbtool-set");
    return form && form.closest(".nbtool-panel") === this.el.closest(".nbtool-panel") ? form : null;
  }

  mark(form) {
    if (form === this.marked) return;
    this.marked?.classList.remove("nbtool-dropping");
    form?.classList.add("nbtool-dropping");
    this.marked = form;
  }

  // The host of the enlarged view; enlarged.js says what each of these is.

  item(key) {
    const said = this.words(key);
    const title = said?.caption || "Image";
    if (said?.gone) return { title, alert: "cannot be shown", text: said.gone };
    return { title, url: this.picture(key), size: said?.size, text: "…" };
  }

  whole(key) {
    return this.making(key) ? null : this.shelf.ask(key);
  }

  beside(key, by) {
    const { order, places } = this.choice;
    for (let at = (places.get(key) ?? 0) + by; at >= 0 && at < order.length; at += by)
      if (!this.making(order[at])) return order[at];
    return null;
  }

  count(key) {
    const { order, places } = this.choice;
    return `${((places.get(key) ?? 0) + 1).toLocaleString("en")} of ${order.length.toLocaleString("en")}`;
  }

  actions(key) {
    const starred = Boolean(this.words(key)?.starred);
    const send = (...said) => this.send(...said);
    return pictureActions(key, starred, send, (id) => removeEnlarged(this, this.enlarged, send, id));
  }

  hint() {
    return ACTIONS_HINT;
  }

  moved(key) {
    this.choice.one(key);
    this.select(key);
    this.changed();
    this.reveal(key);
  }

  reveal(key) {
    const { tiles } = this;
    const top = Math.floor(this.choice.places.get(key) / tiles.columns) * tiles.pitch;
    const { scrollTop, clientHeight } = tiles.element;
    if (top < scrollTop || top + tiles.size > scrollTop + clientHeight) tiles.element.scrollTop = top;
  }

  closed(key) {
    this.tiles.focus(key);
  }

  // What is said: how many there are, and how many of them are in sight.

  tell() {
    this.all.hidden = this.nothing.hidden = this.choice.order.length > 0;
    const asked = this.model.get("found");
    const narrowed = narrows(asked);
    write(this.nothing, narrowed ? "No image matches." : "Your images appear here.");
    if (!narrowed) this.all.hidden = true;
    this.tiles.element.hidden = !this.choice.order.length;
    clearTimeout(this.saying);
    this.saying = setTimeout(() => write(this.counted, this.summary(narrowed)), SAYING);
  }

  summary(narrowed) {
    if (this.model.get("section") !== "images") return "";
    const [count, total] = [this.choice.order.length, this.model.get("total")].map((n) => n.toLocaleString("en"));
    const chosen = this.choice.keys.size ? ` · ${this.choice.keys.size.toLocaleString("en")} chosen` : "";
    if (!this.choice.order.length) return narrowed ? `0 of ${total}` : "";
    const [first, last] = this.tiles.size ? this.tiles.sight() : [0, 0];
    const sight = last > first ? `${(first + 1).toLocaleString("en")}–${last.toLocaleString("en")} of ${count}` : count;
    return `${sight}${narrowed ? ` · ${total} in all` : ""}${chosen}`;
  }

  // The sections.

  tab(name) {
    const tab = make("button", { type: "button", class: "button" });
    tab.addEventListener("click", () => this.turn(name));
    return tab;
  }

  turn(section) {
    this.model.set("section", section);
    this.model.save_changes();
    this.sections();
  }

  sections() {
    const section = this.model.get("section");
    for (const [name, tab] of this.tabs) tab.setAttribute("aria-pressed", name === section);
    this.images.hidden = section !== "images";
    this.sweeps.element.hidden = section !== "sweeps";
    this.queue.element.hidden = section !== "queue";
    this.jobs();
    this.tell();
    if (section === "images") this.tiles.measure();
  }

  jobs() {
    this.queue.show();
    const { length } = this.model.get("queue");
    for (const [name, tab] of this.tabs) {
      const label = name === "queue" && length ? `${SECTIONS[name]} (${length})` : SECTIONS[name];
      write(tab, label);
    }
  }

  close() {
    clearTimeout(this.saying);
    for (const [name, act] of Object.entries(this.heard)) this.model.off(name, act);
    for (const [name, act] of Object.entries(this.onWindow)) window.removeEventListener(name, act, true);
    this.watch.disconnect();
    this.tiles.close();
    this.shelf.close();
  }
}

function keysIn(bytes) {
  const data = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const hex = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, "0"));
  const keys = [];
  for (let at = 0; at < data.length; at += 32) {
    let key = "";
    for (let i = at; i < at + 32; i += 1) key += hex[data[i]];
    keys.push(key);
  }
  return keys;
}

function render({ model, el }) {
  const gallery = new Gallery(model, el);
  return () => gallery.close();
}
export default { render };
