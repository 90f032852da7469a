// An image is dragged onto the form of its panel for its settings, or onto its picture to start from it.

const DRAGGED = "application/x-nbtool-image";
const START_HERE = ".nbtool-starting";
const FORMS = `${START_HERE}, .nbtool-form, .nbtool-left, .nbtool-ask, .nbtool-set`;

class Dragging {
  constructor(gallery) {
    this.gallery = gallery;
    this.key = null;
    this.marked = null; // the form below the pointer
  }

  begin(key, event) {
    event.dataTransfer.setData(DRAGGED, key);
    event.dataTransfer.effectAllowed = "copy";
    const image = event.target.querySelector("img");
    if (image?.naturalWidth) event.dataTransfer.setDragImage(image, 24, 24);
    this.key = key;
  }

  over(event) {
    if (!this.key) return;
    this.mark(this.form(event.target));
    if (!this.marked) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    event.dataTransfer.dropEffect = "copy";
  }

  drop(event) {
    const { key } = this;
    const form = this.form(event.target);
    if (!key || !form) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    this.end();
    this.gallery.send(form.matches(START_HERE) ? "start" : "use", {}, [key]);
  }

  end() {
    this.key = null;
    this.mark(null);
  }

  // The form of this panel that an element is in.
  form(target) {
    const form = target.closest?.(FORMS);
    return form && form.closest(".nbtool-panel") === this.gallery.el.closest(".nbtool-panel") ? form : null;
  }

  mark(form) {
    if (form === this.marked) return;
    this.marked?.classList.remove("nbtool-dropping");
    form?.classList.add("nbtool-dropping");
    this.marked = form;
  }
}
