function render({ model, el }) {
  const list = document.createElement("div");
  list.className = "nbtool-gallery";
  list.setAttribute("role", "group");
  list.setAttribute("aria-label", "Images, newest first");
  el.append(list);
  const tiles = new Map();

  const make = (id) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "nbtool-tile";
    const image = document.createElement("img");
    const star = document.createElement("span");
    star.className = "nbtool-tile-star";
    star.setAttribute("aria-hidden", "true");
    star.textContent = "★";
    button.append(image, star);
    button.addEventListener("click", () => {
      if (button.classList.contains("nbtool-making")) return;
      model.set("selected", id);
      model.save_changes();
    });
    const tile = { button, image, star, data: undefined, url: undefined };
    tiles.set(id, tile);
    return tile;
  };

  const picture = (tile, data) => {
    if (!data || tile.data === data) return;
    const old = tile.url;
    tile.data = data;
    tile.url = URL.createObjectURL(new Blob([data], { type: "image/webp" }));
    tile.image.src = tile.url; // the old picture stays until this one is ready
    if (old) tile.image.addEventListener("load", () => URL.revokeObjectURL(old), { once: true });
  };

  const drop = (id, tile) => {
    tile.button.remove();
    if (tile.url) URL.revokeObjectURL(tile.url);
    tiles.delete(id);
  };

  // One tile takes part in the order of Tab; arrows move among them.
  const reachable = (chosen) => {
    for (const tile of tiles.values()) tile.button.tabIndex = tile.button === chosen ? 0 : -1;
  };

  const show = () => {
    const items = model.get("items");
    const pictures = model.get("pictures");
    const previews = model.get("previews");
    const selected = model.get("selected");
    const wanted = new Set(items.map((item) => item.id));
    for (const [id, tile] of tiles) if (!wanted.has(id)) drop(id, tile);
    items.forEach((item, place) => {
      const tile = tiles.get(item.id) ?? make(item.id);
      const { button, image, star } = tile;
      button.classList.toggle("nbtool-making", item.making);
      button.setAttribute("aria-pressed", String(item.id === selected));
      button.title = item.caption;
      image.alt = (item.starred ? "Starred: " : "") + item.caption;
      star.hidden = !item.starred;
      picture(tile, pictures[item.id] ?? previews[item.id]);
      image.hidden = !tile.data;
      if (list.children[place] !== button) {
        list.insertBefore(button, list.children[place] ?? null);
      }
    });
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    reachable(focused ?? tiles.get(selected)?.button ?? list.children[0]);
  };

  list.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    const buttons = [...list.children];
    const at = buttons.indexOf(document.activeElement);
    if (at < 0) return;
    const top = (button) => button.offsetTop;
    const columns = Math.max(1, buttons.filter((b) => top(b) === top(buttons[0])).length);
    const step = { ...moves, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const to = buttons[Math.min(buttons.length - 1, Math.max(0, at + step))];
    reachable(to);
    to.focus();
  });

  const names = ["items", "pictures", "previews", "selected"];
  for (const name of names) model.on(`change:${name}`, show);
  show();
  return () => {
    for (const name of names) model.off(`change:${name}`, show);
    for (const [id, tile] of tiles) drop(id, tile);
  };
}
export default { render };
