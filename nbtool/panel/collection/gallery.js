// The gallery: images, saved sweeps and the queue in one place. It has the keys of all images;
// what their tiles show is asked for when they come into sight.

const NARROW = 520; // pixels
const SLIM = 412; // what can be done with an image takes two lines
const LOOKING = 3000; // milliseconds between two looks at what others did to the store

class Gallery {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.facts = new Map(); // of the tiles that were sent, by key
    this.shelf = new Shelf(model);
    this.choice = new Choice();
    this.tiles = new TileGrid(this, this.choice);
    this.staying = new Staying(this.tiles.element);
    this.keyboard = new Keyboard(this);
    this.dragging = new Dragging(this);
    this.search = new Search(model);
    this.tools = new Tools(this);
    this.done = new Map(["images", "sweeps"].map((section) => [section, new Done(model, section)]));
    this.trash = new Trash(this);
    this.sweeps = new Sweeps(model);
    this.queue = new Queue(model);
    this.enlarged = new Enlarged(new Browsing(this));
    this.counting = new Counting(this);
    this.images = make("div", { class: "nbtool-images-of-store" }, this.search.element,
      this.tools.element, this.counting.nothing, this.counting.all, this.tiles.element,
      this.foot(model.get("folder")));
    const sweeps = make("div", {}, this.sweeps.element, this.done.get("sweeps").element);
    this.sections = new Sections(model, { images: this.images, sweeps, queue: this.queue.element });
    const head = make("div", { class: "nbtool-library-head" }, this.sections.element, this.counting.element);
    this.root = make("div", { class: "nbtool-library" }, head, this.images, sweeps, this.queue.element,
      this.enlarged.element);
    el.append(this.root);
    this.listen();
    this.arrive();
    this.turn();
    this.take();
    this.order();
  }

  foot(folder) {
    const parts = [folderLink(folder), this.done.get("images").element, this.trash.element];
    return make("div", { class: "nbtool-foot" }, ...parts.filter(Boolean));
  }

  listen() {
    const { model, dragging } = this;
    this.heard = {
      "change:recent": () => this.order(), "change:stored": () => this.order(),
      "change:making": () => this.settle(), "change:selected": () => this.follow(),
      "change:total": () => this.counting.show(), "change:found": () => this.reset(),
      "change:asked": () => this.search.show(), "change:models": () => this.search.show(),
      "change:ahead": () => this.take(),
      "change:said": () => this.done.forEach((line) => line.show()), "change:deleted": () => this.weigh(),
      "change:sweeps": () => this.sweeps.show(), "change:opened": () => this.sweeps.show(),
      "change:queue": () => this.jobs(), "change:section": () => this.turn(),
      "msg:custom": (content) => this.receive(content),
    };
    for (const [name, act] of Object.entries(this.heard)) {
      this.heard[name] = (...said) => this.keepingFocus(() => act(...said));
      model.on(name, this.heard[name]);
    }
    this.shelf.watchers.add((keys) => this.came(keys));
    this.watch = new ResizeObserver(([{ contentRect: { width } }]) => {
      this.root.classList.toggle("nbtool-narrow", width < NARROW);
      this.root.classList.toggle("nbtool-slim", width < SLIM);
    });
    this.watch.observe(this.root);
    this.onWindow = {
      keydown: (event) => this.keyboard.guard(event), focus: () => this.look(),
      click: (event) => this.clicks(event), dblclick: (event) => this.clicks(event),
      dragover: (event) => dragging.over(event), drop: (event) => dragging.drop(event),
      dragend: () => dragging.end(),
    };
    for (const [name, act] of Object.entries(this.onWindow)) window.addEventListener(name, act, true);
    this.images.addEventListener("pointerenter", () => this.look());
    this.root.addEventListener("keydown", (event) => this.trash.key(event));
  }

  // The second click of two belongs to the tile that the first was on, whatever lies there by then.
  clicks(event) {
    if (event.type === "click" && event.detail < 2) {
      this.clicked = this.tiles.keyAt(event.target);
      return;
    }
    const key = this.clicked;
    if (!key || (event.type === "click" && this.tiles.keyAt(event.target) === key)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.type === "dblclick" && this.choice.places.has(key) && !this.making(key)) this.enlarged.show(key);
  }

  // When what has the focus goes, the next that makes sense gets it.
  keepingFocus(act) {
    const before = this.root.contains(document.activeElement);
    act();
    const { activeElement } = document;
    const there = this.root.contains(activeElement) && activeElement.checkVisibility({ visibilityProperty: true });
    if (before && !there) this.focus();
  }

  // What others did to the store meanwhile is seen when somebody comes back to it.
  look() {
    if (!this.root.isConnected || Date.now() - (this.lookedAt ?? Date.now()) < LOOKING) return;
    this.arrive();
    toKernel(this.model, { kind: "look" });
  }

  arrive() {
    this.lookedAt = Date.now();
  }

  turn() {
    this.sections.show();
    this.queue.show();
    this.counting.show();
    if (!this.images.hidden) this.tiles.measure();
  }

  jobs() {
    this.queue.show();
    this.sections.count();
  }

  // Others are looked through: what can be done with them is another thing.
  reset() {
    this.changed();
    this.trash.show();
    this.enlarged.update();
  }

  // More or less was deleted than before.
  weigh() {
    this.trash.show();
    this.search.show();
  }

  // Whether it is what was deleted that is looked through.
  get deleted() {
    return Boolean(this.model.get("found").deleted);
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
    this.counting.show();
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
    this.counting.show();
  }

  act(name, key, event) {
    const { choice } = this;
    if (this.making(key)) return;
    if (name === "dragstart") return this.dragging.begin(key, event);
    if (name === "star") return this.send("star", { starred: !this.words(key)?.starred }, [key]);
    const more = event.ctrlKey || event.metaKey;
    if (event.shiftKey) choice.range(key, more);
    else if (more) choice.toggle(key);
    else choice.one(key);
    if (!more && !event.shiftKey) this.select(key);
    this.changed();
    this.tiles.focus(key);
  }

  // What comes from Python.

  // The first tiles come unasked.
  take() {
    const { files, ...content } = this.model.get("ahead");
    if (!files) return;
    this.shelf.received(content, files);
    this.receive(content);
  }

  receive(content) {
    if (content.words) {
      for (const [key, words] of Object.entries(content.words)) this.facts.set(key, words);
      this.came(Object.keys(content.words));
    } else if (content.kind === "stale") this.renew(content.keys);
  }

  // These are others now: asked for again when they are in sight, and shown as they are until then.
  renew(keys) {
    const { shelf } = this;
    for (const key of keys) {
      const entry = shelf.thumbnails.get(key);
      if (entry) entry.edge = -1;
      if (shelf.whole.has(key)) shelf.drop(shelf.whole, key);
    }
    shelf.told.clear();
    this.tiles.draw();
    // What it shows and offers as a download is of a file that was dropped.
    const { open, id, whole } = this.enlarged;
    if (open && keys.includes(id)) this.enlarged.show(id, whole);
  }

  came(keys) {
    this.tiles.refresh(keys);
    this.tools.show(this.chosen);
    this.enlarged.update();
  }

  // What is chosen, and what is looked at.

  select(key) {
    this.staying.hold();
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
    this.counting.show();
  }

  none() {
    this.choice.none();
    this.changed();
    this.tiles.focus();
  }

  focus() {
    const section = this.model.get("section");
    if (section === "images" && this.choice.order.length) {
      this.tiles.focus();
      return;
    }
    const { undo, away } = this.done.get(section) ?? {};
    const controls = [this.counting.all, undo, away, this.sections.tabs.get(section)];
    controls.find((one) => one?.checkVisibility()).focus();
  }

  star(starred) {
    this.send("star", { starred });
  }

  send(kind, more = {}, keys = this.chosen) {
    if (keys.length) toKernel(this.model, { kind, cells: keys, ...more });
  }

  close() {
    this.counting.close();
    for (const [name, act] of Object.entries(this.heard)) this.model.off(name, act);
    for (const [name, act] of Object.entries(this.onWindow)) window.removeEventListener(name, act, true);
    this.watch.disconnect();
    this.staying.close();
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
