// The tiles: a grid of which only the rows in sight, and a few around them, are in the page. What
// is asked of it: host.words(key), host.picture(key), host.making(key), host.deleted, host.see(keys,
// edge) and what happens, host.act(name, key, event).

const TILE = 96; // pixels, at least
const TILE_GAP = 6;
const AROUND = 2.5; // heights of what is in sight, before and after it

class TileGrid {
  constructor(host, choice) {
    this.host = host;
    this.choice = choice;
    this.rows = new Map(); // elements by number
    this.columns = 1;
    this.grid = make("div", {
      class: "nbtool-tile-grid", role: "grid", "aria-label": "Images of the store", "aria-multiselectable": "true",
    });
    this.element = make("div", { class: "nbtool-tiles" }, this.grid);
    this.element.addEventListener("scroll", () => this.schedule(), { passive: true });
    this.watch = new ResizeObserver(() => this.measure());
    this.watch.observe(this.element);
    for (const name of ["click", "dragstart"])
      this.grid.addEventListener(name, (event) => this.heard(name, event));
  }

  get pitch() {
    return this.size + TILE_GAP;
  }

  measure() {
    const width = this.element.clientWidth - 4;
    if (width < TILE) return; // not shown
    const columns = Math.max(2, Math.floor((width + TILE_GAP) / (TILE + TILE_GAP)));
    const size = (width - (columns - 1) * TILE_GAP) / columns;
    if (columns === this.columns && size === this.size) {
      this.schedule();
      return;
    }
    const first = this.size ? this.firstKey() : null;
    this.columns = columns;
    this.size = size;
    this.clear();
    this.lay(first);
  }

  // Other images: what is in sight stays where it is, unless that is the beginning.
  order(keys) {
    const first = this.size && this.element.scrollTop > 8 ? this.firstKey() : null;
    const offset = this.size ? this.element.scrollTop % this.pitch : 0;
    this.choice.follow(keys);
    this.lay(first, offset);
  }

  lay(first, offset = 0) {
    if (!this.size) return;
    const count = Math.ceil(this.choice.order.length / this.columns);
    this.grid.hidden = !count;
    this.grid.style.height = `${Math.max(0, count * this.pitch - TILE_GAP)}px`;
    this.grid.setAttribute("aria-rowcount", count);
    this.grid.setAttribute("aria-colcount", this.columns);
    this.grid.style.setProperty("--tile", `${this.size}px`);
    const place = this.choice.places.get(first);
    if (place !== undefined) this.element.scrollTop = Math.floor(place / this.columns) * this.pitch + offset;
    this.draw();
  }

  firstKey() {
    return this.choice.order[Math.floor(this.element.scrollTop / this.pitch) * this.columns];
  }

  // The numbers of the first and the last image in sight.
  sight() {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.floor(scrollTop / this.pitch) * this.columns;
    const last = Math.ceil((scrollTop + clientHeight) / this.pitch) * this.columns;
    return [first, Math.min(last, this.choice.order.length)];
  }

  schedule() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw();
    });
  }

  draw() {
    if (!this.size || !this.element.isConnected) return;
    const { columns, choice } = this;
    const { scrollTop, clientHeight } = this.element;
    const count = Math.ceil(choice.order.length / columns);
    const around = AROUND * clientHeight;
    const from = Math.max(0, Math.floor((scrollTop - around) / this.pitch));
    const to = Math.min(count, Math.ceil((scrollTop + clientHeight + around) / this.pitch));
    const kept = Math.floor((choice.places.get(choice.current) ?? -1) / columns); // has the focus
    for (const [number, row] of this.rows)
      if ((number < from || number >= to) && number !== kept) this.drop(number, row);
    const wanted = Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);
    if (kept >= 0 && kept < count && (kept < from || kept >= to)) wanted.push(kept);
    const focused = this.grid.contains(document.activeElement);
    for (const number of wanted) this.fill(number);
    if (focused && !this.grid.contains(document.activeElement)) this.focus();
    this.ask(from * columns, to * columns);
  }

  // First what is in sight, then what is around it.
  ask(from, to) {
    const [first, last] = this.sight();
    const { order } = this.choice;
    const keys = [...order.slice(first, last), ...order.slice(last, to), ...order.slice(from, first)];
    this.host.see(keys, this.size * window.devicePixelRatio);
  }

  fill(number) {
    let row = this.rows.get(number);
    if (!row) {
      row = make("div", { role: "row", class: "nbtool-tile-row", "aria-rowindex": number + 1 });
      row.style.top = `${number * this.pitch}px`;
      this.rows.set(number, row);
      const after = [...this.grid.children].find((one) => one.ariaRowIndex > number + 1);
      this.grid.insertBefore(row, after ?? null); // in the order in which they are read
    }
    const keys = this.choice.order.slice(number * this.columns, (number + 1) * this.columns);
    while (row.children.length > keys.length) row.lastChild.remove();
    keys.forEach((key, column) => {
      const tile = row.children[column] ?? row.appendChild(this.tile(column));
      if (tile.dataset.key !== key) this.dress(tile, key);
    });
  }

  tile(column) {
    const star = make("button", {
      type: "button", class: "nbtool-tile-star", tabindex: -1, "aria-label": "Star",
    });
    const image = make("img", { draggable: "false", alt: "" });
    const words = make("span", { class: "nbtool-tile-words" });
    return make("div", { role: "gridcell", "aria-colindex": column + 1 }, image, words, star);
  }

  dress(tile, key) {
    const { host, choice } = this;
    const [image, words, star] = tile.children;
    const [said, making] = [host.words(key), host.making(key)];
    const chosen = choice.keys.has(key);
    if (tile.dataset.key !== key) {
      tile.dataset.key = key;
      image.removeAttribute("src");
    }
    const url = host.picture(key);
    if (url && image.getAttribute("src") !== url) image.src = url;
    image.hidden = !image.getAttribute("src");
    tile.className = `nbtool-tile${making ? " nbtool-making" : ""}`;
    tile.setAttribute("aria-current", host.looked(key));
    tile.draggable = !making;
    tile.setAttribute("aria-selected", chosen);
    tile.tabIndex = key === choice.current ? 0 : -1;
    const caption = making ? "In the making" : said?.caption ?? "";
    const label = [said?.starred && "Starred", said?.gone ? `Cannot be shown: ${said.gone}` : caption,
      said?.note && `Note: ${said.note}`].filter(Boolean).join(". ");
    tile.setAttribute("aria-label", label || "Image");
    tile.title = label;
    write(words, said?.gone ? "✕" : said?.note ? "✎" : "");
    star.hidden = making || host.deleted || !said || Boolean(said.gone);
    star.setAttribute("aria-pressed", Boolean(said?.starred));
    star.title = said?.starred ? "Take the star away (S)" : "Star (S)";
    write(star, said?.starred ? "★" : "☆");
  }

  // Those of these keys that are in the page, as they are now.
  refresh(keys) {
    this.grid.ariaLabel = this.host.deleted ? "Deleted images" : "Images of the store";
    const wanted = keys && new Set(keys);
    for (const row of this.rows.values())
      for (const tile of row.children)
        if (!wanted || wanted.has(tile.dataset.key)) this.dress(tile, tile.dataset.key);
  }

  drop(number, row) {
    row.remove();
    this.rows.delete(number);
  }

  clear() {
    for (const [number, row] of this.rows) this.drop(number, row);
  }

  // Brings an image into sight, and the keyboard to it.
  focus(key = this.choice.current) {
    const place = this.choice.places.get(key);
    if (place === undefined || !this.size) return;
    this.choice.current = key;
    const top = Math.floor(place / this.columns) * this.pitch;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.size > scrollTop + clientHeight) this.element.scrollTop = top + this.size - clientHeight;
    this.draw();
    this.refresh();
    this.grid.querySelector(`[data-key="${key}"]`)?.focus({ preventScroll: true });
  }

  // Brings an image into sight; the keyboard stays where it is.
  reveal(key) {
    const top = Math.floor(this.choice.places.get(key) / this.columns) * this.pitch;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop || top + this.size > scrollTop + clientHeight) this.element.scrollTop = top;
  }

  // The key that an arrow or another key leads to.
  led(pressed) {
    const { order, places, current } = this.choice;
    const rows = Math.max(1, Math.floor(this.element.clientHeight / this.pitch));
    const strides = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns,
      PageUp: -rows * this.columns, PageDown: rows * this.columns, Home: -Infinity, End: Infinity,
    };
    if (!(pressed in strides)) return null;
    const to = (places.get(current) ?? 0) + strides[pressed];
    return order[Math.min(order.length - 1, Math.max(0, to))] ?? null;
  }

  // Of the tile that something is on; its star is not the tile.
  keyAt(target) {
    if (!this.grid.contains(target) || target.closest(".nbtool-tile-star")) return null;
    return target.closest(".nbtool-tile")?.dataset.key ?? null;
  }

  heard(name, event) {
    const tile = event.target.closest(".nbtool-tile");
    if (!tile) return;
    const starred = event.target.closest(".nbtool-tile-star");
    if (starred && name !== "click") return;
    this.host.act(starred ? "star" : name, tile.dataset.key, event);
  }

  close() {
    this.watch.disconnect();
    cancelAnimationFrame(this.frame);
  }
}
