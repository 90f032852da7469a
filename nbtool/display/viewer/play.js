// Goes on by itself, at a chosen pace, from when it is asked to until it is stopped.

const PACES = { 0.5: "½ s", 1: "1 s", 2: "2 s", 5: "5 s" };

class Player {
  // `step` takes one step; what is played is told by `name`. Who sets `changed` is told of both.
  constructor(name, step) {
    Object.assign(this, { name, step, timer: null });
    this.button = button("▶", `Play ${name}`, () => (this.playing ? this.stop() : this.start()));
    this.pace = select("Seconds for each", Object.entries(PACES), "1", () => {});
    this.element = make("span", { class: "player" }, this.button, this.pace);
    this.show();
  }

  get playing() {
    return this.timer !== null;
  }

  start() {
    this.timer = setTimeout(() => this.tick(), 1000 * this.pace.value);
    this.show();
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
    this.show();
  }

  async tick() {
    const { timer } = this;
    if (!document.hidden) await this.step();
    if (this.timer !== timer) return; // stopped meanwhile
    if (this.element.isConnected) this.start();
    else this.stop();
  }

  show() {
    write(this.button, this.playing ? "▮▮" : "▶");
    this.button.title = `${this.playing ? "Pause" : "Play"} ${this.name}`;
    this.button.setAttribute("aria-label", this.button.title);
    this.pace.hidden = !this.playing;
    this.changed?.();
  }
}
