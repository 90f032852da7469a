// The model of a page that a grid was saved as: the same few methods that a widget's has, over
// the data in the page. Stars live as long as the page is open.

class PageModel {
  constructor(data) {
    this.cells = data.cells;
    this.images = data.images;
    this.sources = data.sources;
    this.requests = data.requests;
    this.listeners = new Map();
    const failed = data.cells.map((cell, i) => [i, cell]).filter(([, cell]) => typeof cell === "string");
    this.values = {
      info: { ...data, cells: null, images: null, sources: null, requests: null, live: false, cancellable: false, token: "page" },
      states: data.cells.map((cell) => ({ number: "d", string: "f" })[typeof cell] ?? ".").join(""),
      failures: Object.fromEntries(failed),
      stars: data.stars,
      selection: [],
      summary: data.summary,
      arrangement: addressed() ?? data.arrangement,
      progress: {},
    };
    this.queue = [];
  }

  get(name) {
    return this.values[name];
  }

  set(name, value) {
    this.values[name] = value;
    if (name === "arrangement") address(value);
    this.tell(`change:${name}`);
  }

  save_changes() {}

  on(event, listener) {
    if (!this.listeners.has(event)) this.listeners.set(event, new Set());
    this.listeners.get(event).add(listener);
  }

  off(event, listener) {
    this.listeners.get(event)?.delete(listener);
  }

  tell(event, ...rest) {
    for (const listener of this.listeners.get(event) ?? []) listener(...rest);
  }

  send(content) {
    if (content.kind === "want") {
      const idle = !this.queue.length;
      this.queue = content.cells.filter((number) => typeof this.cells[number] === "number");
      this.edge = content.edge;
      if (idle) setTimeout(() => this.answer());
    } else if (content.kind === "whole") {
      const { cell } = content;
      if (typeof this.cells[cell] !== "number") {
        setTimeout(() => this.tell("msg:custom", { ...this.requests[cell], kind: "whole", cell }, []));
        return;
      }
      const { src, source, ...details } = this.images[this.cells[cell]];
      const files = [src, ...(source === undefined ? [] : [this.sources[source]])].map(decoded);
      const types = files.map(([type]) => type);
      setTimeout(() =>
        this.tell("msg:custom", { ...details, kind: "whole", cell, types }, files.map(([, bytes]) => bytes)));
    }
  }

  // A few at a time, so that the page goes on answering.
  answer() {
    const cells = this.queue.splice(0, 12);
    if (!cells.length) return;
    const files = cells.map((number) => decoded(this.images[this.cells[number]].src));
    const content = { kind: "thumbnails", cells, edge: 1e6, types: files.map(([type]) => type) };
    this.tell("msg:custom", content, files.map(([, bytes]) => bytes));
    setTimeout(() => this.answer());
  }
}

// In the address, so that it is there again when the page is, and can be passed on.
function address(value) {
  try {
    history.replaceState(null, "", `#${encodeURIComponent(JSON.stringify(value))}`);
  } catch {
    // The page is in a frame that has no address of its own.
  }
}

function addressed() {
  try {
    return JSON.parse(decodeURIComponent(location.hash.slice(1)));
  } catch {
    return null;
  }
}

function decoded(src) {
  const [head, body] = src.split(",", 2);
  const bytes = Uint8Array.from(atob(body), (character) => character.charCodeAt(0));
  return [head.slice(5, head.indexOf(";")), bytes];
}

{
  const element = document.getElementById("nbtool-data");
  const model = new PageModel(JSON.parse(element.textContent));
  element.remove();
  viewer.initialize({ model });
  viewer.render({ model, el: document.body });
}
