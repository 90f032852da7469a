// What is said of the images: how many there are, how many of them are in sight; and, where there
// are none, why.

const SAYING = 400; // milliseconds after the last change

class Counting {
  constructor({ model, choice, tiles, search }) {
    Object.assign(this, { model, choice, tiles });
    this.element = make("span", { class: "nbtool-count", role: "status" });
    this.nothing = make("p", { class: "nbtool-none" }, "");
    this.all = button("Show all images", "Show all images", () => search.everything());
  }

  show() {
    const none = !this.choice.order.length;
    const found = this.model.get("found");
    const narrowed = narrows(found);
    write(this.nothing, narrowed ? this.missing(found) : "Your images appear here.");
    this.nothing.hidden = !none;
    this.all.hidden = !none || !narrowed;
    this.tiles.element.hidden = none;
    clearTimeout(this.saying);
    this.saying = setTimeout(() => write(this.element, this.summary(narrowed)), SAYING);
  }

  missing(found) {
    if (!found.deleted) return "No image matches.";
    return narrows({ ...found, deleted: false }) ? "No deleted image matches." : "Nothing is deleted.";
  }

  summary(narrowed) {
    if (this.model.get("section") !== "images") return "";
    const { deleted } = this.model.get("found");
    const [count, total] = [this.choice.order.length, this.model.get("total")].map((n) => n.toLocaleString("en"));
    const chosen = this.choice.keys.size ? ` · ${this.choice.keys.size.toLocaleString("en")} chosen` : "";
    if (!this.choice.order.length) return narrowed && !deleted ? `0 of ${total}` : "";
    const [first, last] = this.tiles.size ? this.tiles.sight() : [0, 0];
    const sight = last > first ? `${(first + 1).toLocaleString("en")}–${last.toLocaleString("en")} of ${count}` : count;
    if (deleted) return `${sight} deleted${chosen}`;
    return `${sight}${narrowed ? ` · ${total} in all` : ""}${chosen}`;
  }

  close() {
    clearTimeout(this.saying);
  }
}
