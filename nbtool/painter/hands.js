// Mouse, pen and fingers on the stage: one paints, two fingers move and enlarge the picture.

class Hands {
  constructor(view, board) {
    Object.assign(this, { view, board, painting: null, pinching: false });
    this.fingers = new Map(); // the last event of each that is down
    const listen = (name, what) => board.stage.addEventListener(name, what);
    listen("pointerdown", (event) => this.press(event));
    listen("pointermove", (event) => this.move(event));
    listen("pointerup", (event) => this.release(event));
    listen("pointercancel", (event) => this.release(event, true));
    listen("pointerleave", () => this.painting === null && board.point(null));
    listen("contextmenu", (event) => event.preventDefault()); // that button erases
  }

  // Whether an event is for the zoom.
  isZoom(event) {
    if (event.type === "wheel") // else a notebook scrolls past
      return event.ctrlKey || event.metaKey || this.board.stage.matches(":focus");
    if (this.view.tool === "move") return event.button !== 2;
    return this.pinching || (event.type === "pointerdown" ? event.button === 1 : this.painting === null);
  }

  press(event) {
    this.board.stage.focus({ preventScroll: true, focusVisible: false });
    if (event.pointerType === "touch") this.fingers.set(event.pointerId, event);
    if (this.fingers.size > 1) this.pinch();
    if (!this.paints(event)) return;
    this.board.stage.setPointerCapture(event.pointerId);
    this.painting = event.pointerId;
    this.view.begin(this.board.at(event), isErasing(event));
  }

  paints({ button }) {
    return button !== 1 && this.view.paints && !this.pinching && this.painting === null;
  }

  move(event) {
    if (this.fingers.has(event.pointerId)) this.fingers.set(event.pointerId, event);
    if (event.pointerId === this.painting) {
      const events = event.getCoalescedEvents?.() ?? [];
      for (const one of events.length ? events : [event]) this.view.go(this.board.at(one));
    }
    if (event.pointerType !== "touch") this.view.point(this.board.at(event));
  }

  release(event, lost = false) {
    this.fingers.delete(event.pointerId);
    if (!this.fingers.size) this.pinching = false;
    if (event.pointerId !== this.painting) return;
    this.painting = null;
    if (lost) this.view.giveUp();
    else this.view.end();
  }

  // What the first finger has begun was not meant.
  pinch() {
    if (this.pinching) return;
    this.pinching = true;
    this.painting = null;
    this.view.giveUp();
    for (const event of this.fingers.values()) this.board.zoom.press(event);
  }
}

// The right button, a pen's other end, and Alt do what the tool does not.
function isErasing({ button, buttons, altKey }) {
  return button === 2 || Boolean(buttons & 32) || altKey;
}
