// A line that says what was done last in a section, with a way back. It has its room at all times,
// and moves nothing.

class Done {
  constructor(model, section) {
    this.model = model;
    this.section = section;
    this.text = make("span", { role: "status" });
    this.undo = button("Undo", "Undo", () => toKernel(model, { kind: "undo", section }));
    this.away = button("✕", "Close this line", () => this.close());
    this.element = make("div", { class: "nbtool-done" }, this.text, this.undo, this.away);
    this.show();
  }

  show() {
    const { text = "", undo = false } = this.model.get("said")[this.section] ?? {};
    write(this.text, text);
    this.undo.hidden = !undo;
    this.away.hidden = !text;
    this.element.classList.toggle("nbtool-nothing", !text);
  }

  close() {
    this.model.set("said", { ...this.model.get("said"), [this.section]: {} });
    this.model.save_changes();
  }
}
