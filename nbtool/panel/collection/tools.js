// What can be done with the images that are chosen. It stands in a place that is there at all times:
// the tiles below stay where they are when one is chosen.

class Tools {
  constructor(host) {
    this.host = host;
    this.about = null; // whose note is being written
    this.count = make("span", { class: "nbtool-count-chosen" });
    this.star = button("☆ Star", "Star", () => host.star(!this.starred));
    this.note = button("Note", "Add a note", () => this.open());
    this.use = button("Use settings", "Use settings", () => host.send("use"));
    this.back = button("Put back", "Put back", () => host.send("restore"));
    this.paths = button("Copy path", "Copy path", () => host.send("paths"));
    this.remove = button("Delete", "Delete", () => host.send("delete"));
    this.none = button("✕", "Choose none (Esc)", () => host.none());
    this.toolbar = make("div", { class: "nbtool-chosen", role: "toolbar", "aria-label": "Chosen images" },
      this.count, this.star, this.note, this.back, this.use, this.paths, this.remove, this.none);
    this.hint = make("span", { class: "nbtool-hint" }, "Double-click enlarges · Shift and Ctrl choose several");
    this.text = make("input", { type: "text", "aria-label": "Note of the chosen images" });
    this.form = make("div", { class: "nbtool-noting" }, this.text,
      button("Keep", "Keep the note", () => this.keep()), button("Cancel", "Cancel", () => this.leave()));
    this.element = make("div", { class: "nbtool-tools" }, this.hint, this.toolbar, this.form);
    this.show([]);
    this.form.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.leave();
      else if (event.key === "Enter" && event.target === this.text) this.keep();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  show(keys) {
    const { deleted } = this.host;
    this.many = keys.length;
    if (!this.many || deleted) this.about = null;
    this.turn();
    const words = keys.map((key) => this.host.words(key));
    this.starred = keys.length > 0 && words.every((said) => said?.starred);
    write(this.count, `${keys.length.toLocaleString("en")} chosen`);
    write(this.star, this.starred ? "★ Starred" : "☆ Star");
    this.star.setAttribute("aria-pressed", this.starred);
    write(this.paths, keys.length > 1 ? "Copy paths" : "Copy path");
    this.paths.setAttribute("aria-label", this.paths.textContent);
    this.use.hidden = keys.length !== 1;
    this.back.hidden = !deleted;
    for (const one of [this.star, this.note, this.remove]) one.hidden = deleted;
    this.noted = keys.length === 1 ? words[0]?.note ?? "" : "";
  }

  // The note that is being written, or what can be done, or how to choose.
  turn() {
    this.form.hidden = !this.about;
    this.toolbar.hidden = Boolean(this.about) || !this.many;
    this.hint.hidden = Boolean(this.about) || this.many > 0;
  }

  // What is written is of the images that were chosen then, whatever is chosen meanwhile.
  open() {
    const { chosen } = this.host;
    this.about = chosen;
    this.text.placeholder = chosen.length > 1 ? `The same note for ${chosen.length} images` : "A note to keep with it";
    this.turn();
    this.text.value = this.noted;
    this.text.focus();
  }

  keep() {
    this.host.send("note", { note: this.text.value }, this.about);
    this.leave();
  }

  leave() {
    this.about = null;
    this.turn();
    this.host.focus();
  }
}
