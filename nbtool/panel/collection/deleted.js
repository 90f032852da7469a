// What lies in deleted/: a way to look through it, to put all of it back, and to be rid of it, which
// is asked once more before it is gone.

class Trash {
  constructor(gallery) {
    this.gallery = gallery;
    const { model, search } = gallery;
    this.text = make("span");
    this.look = button("Look through", "Look through deleted images", () => search.allDeleted());
    this.leave = button("Back to all", "Back to all images", () => search.everything());
    this.back = button("Put all back", "Put all deleted images back", () => toKernel(model, { kind: "restore all" }));
    this.empty = button("Remove for good …", "Remove deleted images for good", () => this.ask(true));
    this.yes = button("Remove", "Remove for good", single(() => {
      toKernel(model, { kind: "empty" });
      this.ask(false);
    }));
    this.no = button("Keep", "Keep", () => this.ask(false));
    this.element = make("div", { class: "nbtool-trash", role: "group", "aria-label": "Deleted images" },
      this.text, this.look, this.leave, this.back, this.empty, this.yes, this.no);
    this.asking = false;
    this.show();
  }

  ask(asking) {
    this.asking = asking;
    this.show();
    (asking ? this.no : this.empty).focus();
  }

  // Escape leaves the question, wherever in the gallery one is.
  key(event) {
    if (event.key !== "Escape" || !this.asking) return;
    event.stopPropagation();
    event.preventDefault();
    this.ask(false);
  }

  show() {
    const { images = 0, size = "" } = this.gallery.model.get("deleted");
    this.element.hidden = !images;
    const what = `${images.toLocaleString("en")} deleted ${images === 1 ? "image" : "images"}, ${size}`;
    write(this.text, this.asking ? `Remove ${what}, for good?` : what);
    this.look.hidden = this.asking || this.gallery.deleted;
    this.leave.hidden = this.asking || !this.gallery.deleted;
    this.empty.hidden = this.back.hidden = this.asking;
    this.yes.hidden = this.no.hidden = !this.asking;
  }
}
