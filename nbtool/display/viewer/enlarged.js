// The dialog with one enlarged image, its recipe, and what can be done with it.

const ENLARGED = 4; // times its size, at most: beyond there is nothing more to see

class Enlarged {
  constructor(view) {
    this.view = view;
    this.title = make("h2", { dir: "auto" });
    this.close = button("✕", "Close", () => this.element.close());
    this.stage = make("div", { class: "stage" });
    this.star = button("", "Star", () => view.marks.star(this.number));
    this.pin = button("", "Pin", () => view.marks.pin(this.number));
    this.python = button("Copy as Python", "Copy as Python", () => this.copy());
    this.link = make("a", { class: "button" });
    this.actions = make("div", { class: "actions" }, this.star, this.pin, this.python, this.link);
    this.tables = make("div", { class: "tables" });
    this.hint = make("p", { class: "hint" });
    const top = make("div", { class: "top" }, this.title, this.close);
    const details = make("div", { class: "details" }, top, this.actions, this.tables, this.hint);
    this.element = make("dialog", { "aria-label": "Enlarged image" },
      make("div", { class: "enlarged" }, this.stage, details));
    this.element.addEventListener("click", (event) => {
      if (event.target === this.element) this.element.close();
    });
  }

  get open() {
    return this.element.open;
  }

  async show(number) {
    const { view } = this;
    this.number = number;
    this.whole = null;
    write(this.title, view.caption(number));
    write(this.hint, view.keys.hint());
    this.update();
    if (!this.open) {
      this.element.showModal();
      this.close.focus({ focusVisible: false });
    }
    if (view.state(number) !== "d") return;
    const whole = await view.shelf.ask(number);
    if (this.number !== number || !this.open) return;
    this.whole = whole;
    if (whole.error) this.say("cannot be shown", whole.error);
    else await this.present(whole, number);
  }

  async present(whole, number) {
    const image = make("img", { alt: [this.title.textContent, whole.caption].filter(Boolean).join(". ") });
    image.src = whole.url;
    await image.decode().catch(() => {});
    if (this.number !== number) return;
    const [width, height] = whole.size;
    image.style.maxWidth = `${ENLARGED * width}px`;
    image.style.maxHeight = `${ENLARGED * height}px`;
    image.classList.toggle("pixels", Math.max(width, height) < 96);
    this.stage.replaceChildren(image);
    this.link.href = whole.url;
    this.link.download = whole.file;
    write(this.link, `Download ${whole.file.split(".").pop().toUpperCase()}`);
    this.link.hidden = this.python.hidden = false;
    const opened = this.tables.querySelector("details")?.open ?? false;
    const note = whole.note ? [make("p", { class: "note", dir: "auto" }, whole.note)] : [];
    this.tables.replaceChildren(...note, pairsTable(whole.recipe));
    if (whole.made.length) {
      const made = make("details", {}, make("summary", {}, "How it was made"), pairsTable(whole.made));
      made.open = opened;
      this.tables.append(made);
    }
  }

  // What changes while an image is looked at: its marks, and whether it is there at last.
  update() {
    const { view, number } = this;
    if (number === undefined) return;
    const state = view.state(number);
    this.star.hidden = this.pin.hidden = state !== "d";
    const starred = view.marks.stars.has(number);
    write(this.star, starred ? "★ Starred" : "☆ Star");
    this.star.setAttribute("aria-pressed", starred);
    const pinned = view.marks.pins.includes(number);
    write(this.pin, pinned ? "Pinned" : "Pin");
    this.pin.setAttribute("aria-pressed", pinned);
    if (this.whole) return;
    this.link.hidden = this.python.hidden = true;
    if (state === "f") this.say("failed", view.reason(number));
    else if (view.shelf.picture(number)) this.sketch(view.shelf.picture(number));
    else this.say("", WORDS[state === "d" ? "r" : state].replace("in the making", "…"));
    if (state !== "d") this.tables.replaceChildren();
  }

  // A thumbnail or preview until the image itself is here.
  sketch(url) {
    if (this.stage.firstChild?.src === url) return;
    const image = make("img", { alt: this.title.textContent });
    image.src = url;
    this.stage.replaceChildren(image);
  }

  say(what, text) {
    const alert = what ? [make("span", { class: "alert" }, what), "\n"] : [];
    this.stage.replaceChildren(make("p", {}, ...alert, text));
  }

  async copy() {
    await copyText(this.whole.python, this.element);
    write(this.python, "Copied");
    this.python.focus();
    setTimeout(() => write(this.python, "Copy as Python"), 1500);
  }
}
