// The gallery as the enlarged view goes through it; enlarged.js says what each of these is.

class Browsing {
  constructor(gallery) {
    this.gallery = gallery;
  }

  item(key) {
    const said = this.gallery.words(key);
    const title = said?.caption || "Image";
    if (said?.gone) return { title, alert: "cannot be shown", text: said.gone };
    return { title, url: this.gallery.picture(key), size: said?.size, text: "…" };
  }

  whole(key) {
    return this.gallery.making(key) ? null : this.gallery.shelf.ask(key);
  }

  beside(key, by) {
    const { order, places } = this.gallery.choice;
    for (let at = (places.get(key) ?? 0) + by; at >= 0 && at < order.length; at += by)
      if (!this.gallery.making(order[at])) return order[at];
    return null;
  }

  count(key) {
    const { order, places } = this.gallery.choice;
    return `${((places.get(key) ?? 0) + 1).toLocaleString("en")} of ${order.length.toLocaleString("en")}`;
  }

  actions(key) {
    const { gallery } = this;
    const send = (...said) => gallery.send(...said);
    const take = (kind) => takeEnlarged(this, gallery.enlarged, send, key, kind);
    const [star, use, remove] = pictureActions(key, Boolean(gallery.words(key)?.starred), send, () => take("delete"));
    if (!gallery.deleted) return [star, use, remove];
    return [{ name: "Put back", label: "Put back", act: () => take("restore") }, use];
  }

  hint() {
    return this.gallery.deleted ? "← → through what was deleted · Esc back" : ACTIONS_HINT;
  }

  moved(key) {
    const { gallery } = this;
    gallery.choice.one(key);
    gallery.select(key);
    gallery.changed();
    gallery.tiles.reveal(key);
  }

  closed(key) {
    const { gallery } = this;
    if (gallery.choice.places.has(key)) gallery.tiles.focus(key);
    else gallery.focus();
  }
}
