// The two lists beside the images: the saved sweeps, and the jobs that run and wait.

class Sweeps {
  constructor(model) {
    this.model = model;
    this.renamed = null; // whose name is being written
    this.list = make("ul", { class: "nbtool-list", "aria-label": "Saved sweeps" });
    this.empty = make("p", { class: "nbtool-none" },
      "No saved sweep yet. One that is run in the Sweep tab is kept here by itself; from a cell: grid.name = \"…\"");
    this.element = make("div", { class: "nbtool-sweeps" }, this.empty, this.list);
    this.show();
  }

  send(kind, name, more = {}) {
    toKernel(this.model, { kind, name, ...more });
  }

  show() {
    const sweeps = this.model.get("sweeps");
    this.missed = Boolean(this.renamed) && this.list.contains(document.activeElement);
    if (this.missed) return; // it is being written
    this.empty.hidden = sweeps.length > 0;
    this.list.hidden = !sweeps.length;
    const at = focusIn(this.list);
    this.list.replaceChildren(...sweeps.map((sweep) => this.entry(sweep)));
    backTo(this.list, at);
  }

  entry(sweep) {
    const { name, axes, images, there, created } = sweep;
    const open = this.model.get("opened") === name;
    const title = make("strong", { dir: "auto" }, name);
    const facts = [axes, `${there.toLocaleString("en")} of ${images.toLocaleString("en")} ${images === 1 ? "image" : "images"}`, when(created)];
    const words = make("div", { class: "nbtool-list-words" }, title, make("span", {}, facts.filter(Boolean).join(" · ")));
    const opened = button(open ? "Close" : "Open", `${open ? "Close" : "Open"}: ${name}`, () =>
      this.send("open sweep", open ? "" : name));
    opened.setAttribute("aria-expanded", open);
    const rename = button("Rename", `Rename: ${name}`, () => this.write(name, words, title));
    const remove = button("Delete", `Delete: ${name}`, single(() => this.send("delete sweep", name)));
    return make("li", {}, words, make("span", { class: "nbtool-list-acts" }, opened, rename, remove));
  }

  write(name, words, title) {
    const field = make("input", { type: "text", "aria-label": "New name", value: name });
    const leave = () => {
      if (this.renamed !== name) return;
      this.renamed = null;
      field.replaceWith(title);
      if (this.missed) this.show();
    };
    this.renamed = name;
    title.replaceWith(field);
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault(); // the button that gets the focus is not pressed
      event.stopPropagation();
      if (event.key === "Enter") this.send("rename sweep", name, { to: field.value });
      leave();
      this.list.querySelector(`[aria-label="Rename: ${CSS.escape(name)}"]`)?.focus();
    });
    field.addEventListener("blur", () => {
      if (this.renamed === name && field.value !== name) this.send("rename sweep", name, { to: field.value });
      leave();
    });
    field.focus();
    field.select();
  }
}

class Queue {
  constructor(model) {
    this.model = model;
    this.entries = new Map();
    this.list = make("ol", { class: "nbtool-list", "aria-label": "Jobs that run and wait" });
    this.empty = make("p", { class: "nbtool-none" }, "Nothing runs or waits.");
    this.element = make("div", { class: "nbtool-queue" }, this.empty, this.list);
    this.show();
  }

  // Entries are kept: a button that has the focus keeps it while the progress moves.
  show() {
    const jobs = this.model.get("queue");
    this.empty.hidden = jobs.length > 0;
    this.list.hidden = !jobs.length;
    const at = focusIn(this.list);
    const wanted = jobs.map((job, place) => {
      if (!this.entries.has(job.id)) this.entries.set(job.id, this.entry(job));
      this.tell(this.entries.get(job.id), job, place);
      return this.entries.get(job.id).element;
    });
    for (const id of [...this.entries.keys()])
      if (!jobs.some((job) => job.id === id)) this.entries.delete(id);
    if (wanted.length !== this.list.children.length || wanted.some((one, i) => one !== this.list.children[i])) {
      this.list.replaceChildren(...wanted);
      backTo(this.list, at);
    }
  }

  entry({ id, prompt, axes, model }) {
    const words = [prompt, axes].filter(Boolean).join(" · ");
    const facts = make("span");
    const bar = make("progress", { max: 1, value: 0, "aria-label": `Progress of ${words}` });
    const next = button("Next", `Do next: ${words}`, single(() => toKernel(this.model, { kind: "move up", name: id })));
    const cancel = button("Cancel", `Cancel: ${words}`, single(() => toKernel(this.model, { kind: "cancel job", name: id })));
    const element = make("li", {},
      make("div", { class: "nbtool-list-words" }, make("strong", { dir: "auto" }, words), facts, bar),
      make("span", { class: "nbtool-list-acts" }, next, cancel));
    return { element, facts, bar, next, model };
  }

  tell({ facts, bar, next, model }, job, place) {
    const status = job.status.startsWith(job.state) ? job.status : `${job.state}, ${job.status}`;
    write(facts, [status, model].filter(Boolean).join(" · "));
    bar.value = job.fraction;
    next.hidden = place === 0;
  }
}

// The button that has the focus in a list, and back to it when the entries are others: to itself, to
// the one of the same name, or to what stands in its place.
function focusIn(list) {
  const focused = document.activeElement;
  const place = [...list.children].findIndex((one) => one.contains(focused));
  if (place < 0) return null;
  const entry = list.children[place];
  return { focused, entry, place, number: shownIn(entry).indexOf(focused) };
}

function backTo(list, at) {
  if (!at) return;
  const named = shownIn(list).find((one) => one.ariaLabel === at.focused.ariaLabel);
  const entry = at.entry.isConnected ? at.entry : list.children[Math.min(at.place, list.children.length - 1)];
  const instead = entry && shownIn(entry);
  (named ?? instead?.[at.number] ?? instead?.at(-1))?.focus();
}

function shownIn(element) {
  return [...element.querySelectorAll("button:not([hidden])")];
}

function when(created) {
  const date = new Date(created);
  if (Number.isNaN(date.getTime())) return created;
  return date.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}
