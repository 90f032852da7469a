// What can be done with the images that are chosen, and what was done last.

class Tools {
  constructor(host, folder) {
    this.host = host;
    this.count = make("span", { class: "nbtool-count-chosen" });
    this.star = button("☆ Star", "Star", () => host.star(!this.starred));
    this.note = button("Note", "Add a note", () => this.open());
    this.use = button("Use these settings", "Use these settings", () => host.send("use"));
    this.back = button("Put back", "Put back", () => host.send("restore"));
    this.paths = button("Copy path", "Copy path", () => host.send("paths"));
    this.remove = button("Delete", "Delete", () => host.send("delete"));
    this.none = button("✕", "Choose none (Esc)", () => host.none());
    this.link = folderLink(folder);
    this.element = make("div", { class: "nbtool-chosen", role: "toolbar", "aria-label": "Chosen images" },
      this.count, this.star, this.note, this.back, this.use, this.paths, ...(this.link ? [this.link] : []),
      this.remove, this.none);
    this.element.hidden = true;
    this.text = make("input", { type: "text", "aria-label": "Note of the chosen images" });
    this.form = make("div", { class: "nbtool-noting" }, this.text,
      button("Keep", "Keep the note", () => this.keep()), button("Cancel", "Cancel", () => this.leave()));
    this.form.hidden = true;
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
    const left = !keys.length && this.element.contains(document.activeElement);
    this.element.hidden = !keys.length;
    if (!keys.length || deleted) this.form.hidden = true;
    if (left) this.host.focus();
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
    if (this.link) this.link.hidden = deleted;
    this.noted = keys.length === 1 ? words[0]?.note ?? "" : "";
  }

  // What is written is of the images that were chosen then, whatever is chosen meanwhile.
  open() {
    const { chosen } = this.host;
    this.about = chosen;
    this.text.placeholder = chosen.length > 1 ? `The same note for ${chosen.length} images` : "A note to keep with it";
    this.form.hidden = false;
    this.text.value = this.noted;
    this.text.focus();
  }

  keep() {
    this.host.send("note", { note: this.text.value }, this.about);
    this.leave();
  }

  leave() {
    this.form.hidden = true;
    this.host.focus();
  }
}

// A line that says what was done, with a way back.
class Said {
  constructor(model) {
    this.model = model;
    this.text = make("span", { role: "status" });
    this.undo = button("Undo", "Undo", () => model.send({ kind: "undo" }));
    this.element = make("div", { class: "nbtool-done" }, this.text, this.undo);
    this.show();
  }

  show() {
    const { text, undo } = this.model.get("said");
    write(this.text, text ?? "");
    this.undo.hidden = !undo;
    this.element.classList.toggle("nbtool-nothing", !text);
  }
}
