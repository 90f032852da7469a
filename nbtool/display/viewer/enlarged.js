// The dialog with one picture large and what is known of it. It knows nothing of grids: its host
// offers item(id): {title, url, size, alert, text}, what is known at once: a small picture's url
// and the size of the whole, or words for the stage; whole(id): null, or a promise of {url, size,
// caption, note, recipe, made, python, file, blob}, of {error}, or of what there is of these without a
// url; beside(id, by): the next id, the previous with -1, or null; count(id): "3 of 24";
// actions(id, whole): [{name, label, pressed, key, act}]; hint(id); moved(id); closed(id). It may
// offer led(id, key): the id that an arrow or a page key leads to, or null, and ways(): in which
// the pictures can be played, [{name, step(id)}].

const ZOOMING = "+ − and the wheel zoom, 0 fits, 1 is 100 %";
const FINGERS = "Swipe for the next  ·  two fingers zoom";

class Enlarged {
  constructor(host) {
    this.host = host;
    this.zoom = new Zoom({ turned: (by) => this.turn(by), scaled: () => this.scaled() });
    this.title = make("h2", { dir: "auto", "aria-live": "polite" });
    this.close = button("✕", "Close", () => this.element.close());
    this.before = button("‹", "Previous", () => this.turn(-1));
    this.after = button("›", "Next", () => this.turn(1));
    this.count = make("span", { class: "count" });
    this.less = button("−", "Zoom out", () => this.zoom.step(-1));
    this.percent = button("", "Zoom", () => this.zoom.to(this.zoom.current === 1 ? null : 1));
    this.more = button("+", "Zoom in", () => this.zoom.step(1));
    this.actions = make("div", { class: "actions" });
    this.buttons = new Map();
    this.ways = [];
    this.python = button("Copy as Python", "Copy as Python", () => this.copy());
    this.link = make("a", { class: "button" });
    this.bare = button("Without metadata", "Download without metadata", () => this.saveBare());
    this.bare.title = "Download the pixels alone: neither recipe nor prompt nor seed is in the file";
    this.tables = make("div", { class: "tables" });
    this.hint = make("p", { class: "hint" });
    this.player = new Player("pictures", () => this.play());
    this.way = select("Play along", [], "", () => {});
    this.player.button.after(this.way);
    this.player.changed = () => this.offerWays(this.ways);
    this.scales = make("span", { class: "scales" }, this.less, this.percent, this.more);
    const bar = make("div", { class: "bar-of-stage" },
      make("span", {}, this.before, this.count, this.after), this.player.element, this.scales);
    const top = make("div", { class: "top" }, this.title, this.close);
    const details = make("div", { class: "details" }, this.actions, this.tables, this.hint);
    this.element = make("dialog", { class: "nbtool-enlarged", "aria-label": "Enlarged image" },
      make("div", { class: "enlarged" }, top, this.zoom.stage, bar, details));
    this.element.addEventListener("click", (event) => event.target === this.element && this.element.close());
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.element.addEventListener("close", () => {
      this.zoom.to(null);
      this.player.stop();
      host.closed(this.id);
    });
  }

  get open() {
    return this.element.open;
  }

  // `known` is seen until there is more.
  async show(id, known = null) {
    this.id = id;
    this.whole = known;
    if (!this.open) {
      this.element.showModal();
      this.close.focus({ focusVisible: false });
    }
    this.update();
    const whole = await this.host.whole(id);
    if (!whole || this.id !== id || !this.open) return;
    this.whole = whole;
    this.tell(whole);
    if (whole.url) {
      const alt = [this.title.textContent, whole.caption].filter(Boolean).join(". ");
      await this.zoom.show(whole.url, whole.size, alt).catch(() => this.say("cannot be shown", whole.file));
    } else if (whole.error) this.say("cannot be shown", whole.error);
    if (this.id === id) this.update();
  }

  // What changes while a picture is looked at: what can be done, and what there is of it.
  update() {
    const { host, id } = this;
    if (id === undefined || !this.open) return;
    const { title, url, size, alert, text } = host.item(id);
    write(this.title, title);
    write(this.count, host.count(id));
    this.title.title = title;
    write(this.hint, touched() ? FINGERS : [host.hint(id), ZOOMING].filter(Boolean).join("  ·  "));
    disable(this.before, host.beside(id, -1) === null);
    disable(this.after, host.beside(id, 1) === null);
    this.offer(host.actions(id, this.whole));
    this.offerWays(host.ways?.() ?? []);
    if (this.whole?.url || this.whole?.error) return;
    if (url) this.zoom.show(url, size, title).catch(() => this.say("", text));
    else this.say(alert, text);
    if (!this.whole) this.tables.replaceChildren();
  }

  // Buttons are kept: one that has the focus does not lose it.
  offer(actions) {
    const { whole, buttons } = this;
    const wanted = actions.map(({ name, label, pressed, act }) => {
      if (!buttons.has(name)) buttons.set(name, button("", name, single(() => this.acts.get(name)())));
      const one = buttons.get(name);
      write(one, label);
      if (pressed !== undefined) one.setAttribute("aria-pressed", pressed);
      return [one, name, act];
    });
    this.acts = new Map(wanted.map(([, name, act]) => [name, act]));
    this.keys = new Map(actions.filter(({ key }) => key).map(({ key, act }) => [key, act]));
    const shown = wanted.map(([one]) => one);
    if (whole?.python) shown.push(this.python);
    if (whole?.url) shown.push(this.link);
    if (whole?.python && whole.blob?.type === "image/png") shown.push(this.bare);
    if (shown.length === this.actions.children.length && shown.every((one) => one.parentNode)) return;
    const focused = shown.find((one) => one.matches(":focus"));
    this.actions.replaceChildren(...shown);
    if (focused) focused.focus();
    else if (!this.element.contains(this.element.getRootNode().activeElement)) this.close.focus();
  }

  offerWays(ways) {
    this.ways = ways;
    const names = ways.map(({ name }) => name);
    if (String(names) !== String([...this.way.options].map(({ text }) => text)))
      this.way.replaceChildren(...names.map((name, i) => make("option", { value: i }, name)));
    this.way.hidden = !this.player.playing || names.length < 2;
    this.title.setAttribute("aria-live", this.player.playing ? "off" : "polite");
  }

  // One step along the way that was chosen; where the host names none, to the next and to the end.
  async play() {
    const next = this.ways[this.way.value]?.step(this.id) ?? this.host.beside(this.id, 1);
    if (next === null) this.player.stop();
    else await this.go(next);
  }

  tell(whole) {
    if (whole.url) {
      this.link.href = whole.url;
      this.link.download = whole.file;
      write(this.link, `Download ${whole.file.split(".").pop().toUpperCase()}`);
    }
    const opened = this.tables.querySelector("details")?.open ?? false;
    const parts = whole.note ? [make("p", { class: "note", dir: "auto" }, whole.note)] : [];
    if (whole.recipe) parts.push(pairsTable(whole.recipe));
    if (whole.made?.length) {
      const made = make("details", {}, make("summary", {}, "How it was made"), pairsTable(whole.made));
      made.open = opened;
      parts.push(made);
    }
    this.tables.replaceChildren(...parts);
  }

  say(alert, text) {
    this.zoom.say(...(alert ? [make("span", { class: "alert" }, alert), "\n"] : []), text ?? "");
  }

  scaled() {
    this.scales.hidden = !this.zoom.image;
    const percent = `${Math.round(100 * this.zoom.current)} %`;
    write(this.percent, percent);
    const one = this.zoom.current === 1;
    this.percent.setAttribute("aria-label", `${percent}, ${one ? "show all of it" : "show at 100 %"}`);
    this.percent.title = one ? "Show all of it (0)" : "Show at 100 % (1)";
  }

  turn(by) {
    this.go(this.host.beside(this.id, by));
  }

  async go(id) {
    if (id === null || id === undefined) return;
    this.host.moved(id);
    await this.show(id);
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    event.stopPropagation(); // a notebook has shortcuts on the same keys
    const { key, target } = event;
    if (target.closest("input, select, textarea")) return;
    if (this.keys.has(key)) this.keys.get(key)();
    else if (!this.zoom.key(key)) {
      if (!(key in ARROWS) && !/^Page(Up|Down)$/.test(key)) return;
      if (this.host.led) this.go(this.host.led(this.id, key));
      else if (ARROWS[key]?.[1]) this.turn(ARROWS[key][1]);
    }
    event.preventDefault();
  }

  async saveBare() {
    const pixels = await bare(this.whole.blob);
    const link = make("a", { href: URL.createObjectURL(pixels), download: "image.png" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  async copy() {
    await copyText(this.whole.python, this.element);
    write(this.python, "Copied");
    this.python.focus();
    setTimeout(() => write(this.python, "Copy as Python"), 1500);
  }
}

// Out of use, but still where the keyboard is.
function disable(control, disabled) {
  control.setAttribute("aria-disabled", disabled);
}
