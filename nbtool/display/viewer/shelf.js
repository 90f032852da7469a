// The pictures that have come from the host, each as a URL. Bounded: what has not been looked at
// for longest goes first, but nothing that is in sight.

const MAX_THUMBNAILS = 2000;
const MAX_BYTES = 64e6;
const MAX_WHOLE = 24;
const INLINE = 65536; // bytes
const PIECE = 8192; // bytes: what a call takes as its arguments
const PAUSE = 50; // milliseconds
const shelves = new Map();

// Of a small file its text, which is there at once: about each blob a browser asks another process.
function urlOf(buffer, type) {
  if (buffer.byteLength > INLINE) return URL.createObjectURL(new Blob([buffer], { type }));
  const { buffer: all = buffer, byteOffset, byteLength } = buffer; // a view or the bytes themselves
  const bytes = new Uint8Array(all, byteOffset, byteLength);
  let text = "";
  for (let at = 0; at < bytes.length; at += PIECE) text += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  return `data:${type};base64,${btoa(text)}`;
}

class Shelf {
  constructor(model) {
    this.model = model;
    this.thumbnails = new Map();
    this.previews = new Map();
    this.whole = new Map();
    this.waiting = new Map();
    this.sights = new Map();
    this.told = new Map();
    this.watchers = new Set();
    this.bytes = 0;
    this.receive = (content, buffers) => this.received(content, buffers ?? []);
    this.settle = () => this.settled();
    model.on("msg:custom", this.receive);
    model.on("change:states", this.settle);
  }

  received(content, buffers) {
    const { types } = content;
    if (content.kind === "whole") {
      const blobs = buffers.map((buffer, i) => new Blob([buffer], { type: types[i] }));
      const urls = blobs.map((blob) => URL.createObjectURL(blob));
      const before = urls[1] && { url: urls[1], alt: content.before };
      this.keepWhole({ ...content, blob: blobs[0], before }, urls[0]);
      return;
    }
    const cells = content.cells ?? [];
    cells.forEach((number, i) => {
      const entry = { url: urlOf(buffers[i], types[i]), edge: content.edge, bytes: buffers[i].byteLength };
      if (content.kind === "previews") this.keepPreview(number, entry);
      else this.keepThumbnail(number, entry);
    });
    this.evict();
    for (const watcher of this.watchers) watcher(cells);
  }

  keepThumbnail(number, entry) {
    const old = this.thumbnails.get(number);
    if (old) this.drop(this.thumbnails, number);
    this.thumbnails.set(number, entry);
    this.bytes += entry.bytes;
    this.dropPreview(number);
  }

  keepPreview(number, entry) {
    this.dropPreview(number);
    this.previews.set(number, entry);
  }

  dropPreview(number) {
    const preview = this.previews.get(number);
    if (preview) URL.revokeObjectURL(preview.url);
    this.previews.delete(number);
  }

  drop(map, number) {
    const entry = map.get(number);
    URL.revokeObjectURL(entry.url);
    if (entry.before) URL.revokeObjectURL(entry.before.url);
    map.delete(number);
    this.bytes -= entry.bytes ?? 0;
  }

  evict() {
    for (const number of this.thumbnails.keys()) {
      if (this.thumbnails.size <= MAX_THUMBNAILS && this.bytes <= MAX_BYTES) return;
      if (![...this.sights.values()].some((sight) => sight.has(number)))
        this.drop(this.thumbnails, number);
    }
  }

  // Previews of cells that failed or were cancelled have served.
  settled() {
    const states = this.model.get("states");
    for (const [number, { url }] of this.whole) if (!url) this.whole.delete(number);
    for (const number of [...this.previews.keys()])
      if (states[number] === "f" || states[number] === ".") this.dropPreview(number);
  }

  // The picture of a cell as far as there is one.
  picture(number) {
    const entry = this.thumbnails.get(number);
    if (!entry) return this.previews.get(number)?.url ?? null;
    this.thumbnails.delete(number);
    this.thumbnails.set(number, entry);
    return entry.url;
  }

  // What a view has in sight; what of it is not here yet, at least `edge` pixels wide or high, is
  // asked for when the scrolling pauses.
  see(view, numbers, edge) {
    this.sights.set(view, new Set(numbers));
    this.edge = edge;
    this.timer ??= setTimeout(() => this.want(), PAUSE);
  }

  want() {
    this.timer = undefined;
    const { edge } = this;
    const seen = new Set([...this.sights.values()].flatMap((sight) => [...sight]));
    const lacking = [...seen].filter((number) => !(this.thumbnails.get(number)?.edge >= edge));
    const fresh = lacking.some((number) => this.told.get(number) !== edge);
    this.told = new Map(lacking.map((number) => [number, edge]));
    if (fresh) toKernel(this.model, { kind: "want", cells: lacking, edge });
  }

  keepWhole(content, url) {
    const { cell: number } = content;
    this.whole.set(number, { ...content, url });
    for (const old of this.whole.keys()) {
      if (this.whole.size <= MAX_WHOLE) break;
      this.drop(this.whole, old);
    }
    this.waiting.get(number)?.resolve(this.whole.get(number));
    this.waiting.delete(number);
  }

  // The whole image and its details, once they are here.
  ask(number) {
    const here = this.whole.get(number);
    if (here && !here.error) return Promise.resolve(here);
    if (!this.waiting.has(number)) {
      const request = {};
      request.promise = new Promise((resolve) => (request.resolve = resolve));
      this.waiting.set(number, request);
      toKernel(this.model, { kind: "whole", cell: number });
    }
    return this.waiting.get(number).promise;
  }

  close() {
    clearTimeout(this.timer);
    this.model.off("msg:custom", this.receive);
    this.model.off("change:states", this.settle);
    for (const map of [this.thumbnails, this.previews, this.whole])
      for (const number of [...map.keys()]) this.drop(map, number);
  }
}

// One for each model, from the moment it is there: views that are opened later share it.
function shelfOf(model) {
  const { token } = model.get("info");
  if (!shelves.has(token)) shelves.set(token, new Shelf(model));
  return shelves.get(token);
}
