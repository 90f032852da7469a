// What can be done with the images that are chosen, and what was done last.

class Tools {
  constructor(host, folder) {
    this.host = host;
    this.count = make("span", { class: "nbtool-count-chosen" });
    this.star = button("☆ Star", "Star", () => host.star(!this.starred));
    this.note = button("Note", "Add a note", () => this.open());
    this.use = button("Use these settings", "Use these settings", () => host.send("use"));
    this.paths = button("Copy path", "Copy path", () => host.send("paths"));
    this.remove = button("Delete", "Delete", () => host.send("delete"));
    this.none = button("✕", "Choose none (Esc)", () => host.none());
    const link = folderLink(folder);
    this.element = make("div", { class: "nbtool-chosen", role: "toolbar", "aria-label": "Chosen images" },
      this.count, this.star, this.note, this.use, this.paths, ...(link ? [link] : []), this.remove, this.none);
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
    this.element.hidden = !keys.length;
    if (!keys.length) this.form.hidden = true;
    const words = keys.map((key) => this.host.words(key));
    this.starred = keys.length > 0 && words.every((said) => said?.starred);
    write(this.count, `${keys.length.toLocaleString("en")} chosen`);
    write(this.star, this.starred ? "★ Starred" : "☆ Star");
    this.star.setAttribute("aria-pressed", this.starred);
    write(this.paths, keys.length > 1 ? "Copy paths" : "Copy path");
    this.paths.setAttribute("aria-label", this.paths.textContent);
    this.use.hidden = keys.length !== 1;
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

// What lies in deleted/, and the way to be rid of it: asked once more before it is gone.
class Trash {
  constructor(model) {
    this.model = model;
    this.text = make("span");
    this.back = button("Put back", "Put back deleted images", () => model.send({ kind: "restore" }));
    this.empty = button("Remove for good …", "Remove deleted images for good", () => this.ask(true));
    this.yes = button("Remove", "Remove for good", () => {
      model.send({ kind: "empty" });
      this.ask(false);
    });
    this.no = button("Keep", "Keep", () => this.ask(false));
    this.element = make("div", { class: "nbtool-trash" }, this.text, this.back, this.empty, this.yes, this.no);
    this.asking = false;
    this.show();
  }

  ask(asking) {
    const was = this.asking;
    this.asking = asking;
    this.show();
    if (asking) this.no.focus();
    else if (was && !this.element.hidden) this.empty.focus();
  }

  show() {
    const { images = 0, size = "" } = this.model.get("deleted");
    this.element.hidden = !images;
    const what = `${images.toLocaleString("en")} deleted ${images === 1 ? "image" : "images"}, ${size}`;
    write(this.text, this.asking ? `Remove ${what}, for good?` : what);
    this.empty.hidden = this.back.hidden = this.asking;
    this.yes.hidden = this.no.hidden = !this.asking;
  }
}
