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
    const use = { name: "Use these settings", label: "Use these settings", act: () => gallery.send("use", {}, [key]) };
    if (gallery.deleted)
      return [{ name: "Put back", label: "Put back", act: () => this.take("restore", key) }, use];
    const starred = Boolean(gallery.words(key)?.starred);
    const star = {
      name: "Star", label: starred ? "★ Starred" : "☆ Star", pressed: starred, key: "s",
      act: () => gallery.send("star", { starred: !starred }, [key]),
    };
    return [star, use, { name: "Delete", label: "Delete", key: "Delete", act: () => this.take("delete", key) }];
  }

  // Takes it away from here, and goes on with the next.
  take(kind, key) {
    const { enlarged } = this.gallery;
    const next = this.beside(key, 1) ?? this.beside(key, -1);
    this.gallery.send(kind, {}, [key]);
    if (next === null) enlarged.element.close();
    else enlarged.go(next);
  }

  hint() {
    if (this.gallery.deleted) return "← → through what was deleted · Esc back";
    return "← → through the gallery · S stars · Del deletes · Esc back";
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
