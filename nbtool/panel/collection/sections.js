// The sections of the gallery and the buttons that turn to them.

const SECTIONS = { images: "Images", sweeps: "Sweeps", queue: "Queue" };

class Sections {
  // `places` are the elements of the sections, by their names.
  constructor(model, places) {
    this.model = model;
    this.places = places;
    this.tabs = new Map(Object.keys(SECTIONS).map((name) => [name, this.tab(name)]));
    this.element = make("div", { class: "nbtool-sections", role: "group", "aria-label": "Gallery" }, ...this.tabs.values());
  }

  tab(name) {
    const tab = make("button", { type: "button", class: "button" });
    tab.addEventListener("click", () => {
      this.model.set("section", name);
      this.model.save_changes();
    });
    return tab;
  }

  show() {
    const section = this.model.get("section");
    for (const [name, tab] of this.tabs) {
      tab.setAttribute("aria-pressed", name === section);
      this.places[name].hidden = name !== section;
    }
    this.count();
  }

  // How many jobs there are.
  count() {
    const { length } = this.model.get("queue");
    for (const [name, tab] of this.tabs)
      write(tab, name === "queue" && length ? `${SECTIONS[name]} (${length})` : SECTIONS[name]);
  }
}
