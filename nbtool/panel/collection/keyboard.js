// What keys do in the tiles, as lists everywhere have it.

class Keyboard {
  constructor(gallery) {
    this.gallery = gallery;
    gallery.tiles.element.addEventListener("keydown", (event) => this.press(event));
  }

  // Shortcuts of JupyterLab's that mean something else here: Ctrl+A and its like.
  guard(event) {
    const { element } = this.gallery.tiles;
    if (!element.contains(event.target)) return;
    const combined = event.ctrlKey || event.metaKey;
    const ours = !combined || event.key.toLowerCase() === "a" || event.key in ARROWS || event.key === " ";
    element.toggleAttribute("data-lm-suppress-shortcuts", ours);
  }

  press(event) {
    const { gallery } = this;
    const { tiles } = gallery;
    if (event.altKey || !tiles.grid.contains(event.target)) return;
    if (event.target.matches("button") && (event.key === "Enter" || event.key === " ")) return;
    const to = tiles.led(event.key);
    if (to !== null) this.go(to, event);
    else if (this.act(event)) gallery.changed();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  go(to, { shiftKey, ctrlKey, metaKey }) {
    const { gallery } = this;
    const { choice } = gallery;
    const combined = ctrlKey || metaKey;
    choice.anchor ??= choice.current;
    if (shiftKey) choice.range(to, combined);
    else if (!combined && !gallery.making(to)) {
      choice.one(to);
      gallery.select(to);
    } else choice.current = to;
    gallery.changed();
    gallery.tiles.focus(to);
  }

  // Whether the key means something.
  act({ key, shiftKey, ctrlKey, metaKey }) {
    const { gallery, at } = this;
    const { choice } = gallery;
    const { current } = choice;
    const combined = ctrlKey || metaKey;
    if (combined && key.toLowerCase() === "a") choice.all();
    else if (key === " ") combined || shiftKey ? choice.toggle(current) : this.pick(current);
    else if (combined) return false;
    else if (key === "Escape" && choice.keys.size) choice.none();
    else if (key === "Enter" && !gallery.making(current)) gallery.enlarged.show(current);
    else if (gallery.deleted) return false;
    else if ((key === "Delete" || key === "Backspace") && gallery.chosen.length) gallery.send("delete");
    else if (key.toLowerCase() === "s" && at.length)
      gallery.send("star", { starred: !at.every((one) => gallery.words(one)?.starred) }, at);
    else return false;
    return true;
  }

  pick(key) {
    this.gallery.choice.one(key);
    if (!this.gallery.making(key)) this.gallery.select(key);
  }

  // What a key acts on: what is chosen, or else where the keyboard is.
  get at() {
    const { chosen, choice } = this.gallery;
    if (chosen.length) return chosen;
    return choice.current && !this.gallery.making(choice.current) ? [choice.current] : [];
  }
}
