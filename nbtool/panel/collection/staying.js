// What stands above the tiles may be higher or lower once another image is looked at. The page is
// scrolled as far, so that the tiles stay below the pointer, until somebody does something else.

const ELSE = ["wheel", "touchmove", "pointerdown", "keydown"];

class Staying {
  constructor(element) {
    this.element = element;
    this.top = null; // where it stays
    this.watch = new ResizeObserver(() => this.settle());
    this.free = ({ type, target }) => {
      const inside = target.closest?.(".nbtool-library")?.contains(element);
      if (type !== "keydown" || !inside) this.top = null;
    };
    for (const name of ELSE) window.addEventListener(name, this.free, { capture: true, passive: true });
  }

  hold() {
    for (const one of this.element.closest(".nbtool-workplace")?.children ?? []) this.watch.observe(one);
    this.top = this.element.getBoundingClientRect().top;
  }

  settle() {
    if (this.top === null) return;
    const moved = this.element.getBoundingClientRect().top - this.top;
    if (moved) scroller(this.element).scrollTop += moved;
  }

  close() {
    this.watch.disconnect();
    for (const name of ELSE) window.removeEventListener(name, this.free, { capture: true });
  }
}

// What scrolls an element with all that is around it.
function scroller(element) {
  for (let one = element.parentElement; one; one = one.parentElement)
    if (/auto|scroll/.test(getComputedStyle(one).overflowY) && one.scrollHeight > one.clientHeight + 1) return one;
  return document.scrollingElement;
}
