// What is searched for: words, model, starred, today, what was deleted, and the order. Folded on
// narrow panels.

const ORDERS = { newest: "newest first", oldest: "oldest first", prompt: "by prompt", model: "by model", seed: "by seed" };
const TYPING = 250; // milliseconds after the last letter

class Search {
  constructor(model) {
    this.model = model;
    this.words = make("input", { type: "search", "aria-label": "Search the images", placeholder: "Prompt or note",
      title: "Words in the prompt, the note or the name of the model" });
    this.models = make("select", { "aria-label": "Made with" }); // "Model" is a field of the form
    this.starred = this.toggle("★ starred", "starred only");
    this.today = this.toggle("today", "made today only");
    this.deleted = this.toggle("deleted", "what was deleted");
    this.sort = make("select", { "aria-label": "Order" },
      ...Object.entries(ORDERS).map(([value, text]) => make("option", { value }, text)));
    this.fields = make("div", { class: "nbtool-search-fields" },
      this.words, this.models, this.sort, this.starred, this.today, this.deleted);
    this.fold = button("Search", "Search", () => this.open(this.fields.classList.toggle("nbtool-open")));
    this.fold.classList.add("nbtool-search-fold");
    this.element = make("div", { class: "nbtool-search", role: "group", "aria-label": "Search" },
      this.fold, this.fields);
    this.words.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.ask(), TYPING);
    });
    this.words.addEventListener("keydown", (event) => event.key === "Enter" && this.ask());
    for (const one of [this.models, this.sort]) one.addEventListener("change", () => this.ask());
    this.open(false);
    this.show();
  }

  toggle(text, label) {
    const one = button(text, label, () => {
      one.setAttribute("aria-pressed", one.getAttribute("aria-pressed") !== "true");
      this.ask();
    });
    return one;
  }

  open(open) {
    this.fold.setAttribute("aria-expanded", open);
  }

  get asked() {
    return {
      words: this.words.value.trim(), model: this.models.value, sort: this.sort.value,
      starred: this.starred.ariaPressed === "true", today: this.today.ariaPressed === "true",
      deleted: this.deleted.ariaPressed === "true",
    };
  }

  ask() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.model.set("asked", this.asked);
    this.model.save_changes();
    this.name();
  }

  everything() {
    this.clear();
    this.ask();
    this.lead(this.words);
  }

  // All that was deleted.
  allDeleted() {
    this.clear();
    this.deleted.ariaPressed = "true";
    this.ask();
    this.lead(this.deleted);
  }

  // Takes the keyboard to a field, or to what unfolds it.
  lead(field) {
    (field.checkVisibility() ? field : this.fold).focus();
  }

  clear() {
    this.words.value = this.models.value = "";
    for (const one of [this.starred, this.today, this.deleted]) one.ariaPressed = "false";
  }

  name() {
    const { words, model, starred, today, deleted } = this.model.get("asked");
    const count = [words, model, starred, today, deleted].filter(Boolean).length;
    write(this.fold, count ? `Search · ${count} set` : "Search");
    this.fold.ariaLabel = this.fold.textContent;
  }

  // What is asked for by whoever asks; what is being typed stays.
  show() {
    const asked = this.model.get("asked");
    const models = this.model.get("models");
    const options = ["", ...new Set([...models, ...(asked.model ? [asked.model] : [])])];
    const before = [...this.models.options].map((one) => one.value);
    if (!before.length || options.join("\n") !== before.join("\n"))
      this.models.replaceChildren(...options.map((value) => make("option", { value }, value || "all models")));
    if (!this.timer && !this.words.matches(":focus")) this.words.value = asked.words ?? "";
    this.models.value = asked.model ?? "";
    this.sort.value = asked.sort ?? "newest";
    this.starred.ariaPressed = String(Boolean(asked.starred));
    this.today.ariaPressed = String(Boolean(asked.today));
    this.deleted.ariaPressed = String(Boolean(asked.deleted));
    const absent = !asked.deleted && !this.model.get("deleted").images;
    this.deleted.classList.toggle("nbtool-absent", absent); // its room stays
    this.name();
  }
}

function narrows(asked) {
  return Boolean(asked.words || asked.model || asked.starred || asked.today || asked.deleted);
}
