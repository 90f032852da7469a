// Which images are chosen, as lists everywhere have it: a click chooses one, with Shift all up to
// it, with Ctrl or Cmd one more or less.

class Choice {
  constructor() {
    this.order = [];
    this.places = new Map();
    this.keys = new Set();
    this.anchor = null; // where a range begins
    this.current = null; // where the keyboard is
  }

  // Another order or other images: what is gone is chosen no more.
  follow(order) {
    const before = this.places.get(this.current) ?? 0;
    this.order = order;
    this.places = new Map(order.map((key, place) => [key, place]));
    for (const key of this.keys) if (!this.places.has(key)) this.keys.delete(key);
    if (!this.places.has(this.anchor)) this.anchor = null;
    if (!this.places.has(this.current))
      this.current = order[Math.min(before, order.length - 1)] ?? null;
  }

  one(key) {
    this.keys = new Set([key]);
    this.anchor = this.current = key;
  }

  toggle(key) {
    if (!this.keys.delete(key)) this.keys.add(key);
    this.anchor = this.current = key;
  }

  // All from the anchor to a key; with `more` beside what is chosen.
  range(key, more) {
    const start = this.places.get(this.anchor ?? this.current ?? key);
    const [low, high] = [start, this.places.get(key)].sort((one, other) => one - other);
    this.anchor ??= this.order[start];
    if (!more) this.keys.clear();
    for (const one of this.order.slice(low, high + 1)) this.keys.add(one);
    this.current = key;
  }

  all() {
    this.keys = new Set(this.order);
  }

  none() {
    this.keys.clear();
  }

  // In the order in which they stand; of those that can be chosen at all.
  listed(unless) {
    return this.order.filter((key) => this.keys.has(key) && !unless.has(key));
  }
}
