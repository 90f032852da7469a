// The buttons that say how near a picture is on its stage, and bring it nearer.

class Scales {
  constructor(zoom) {
    this.zoom = zoom;
    this.percent = button("", "Zoom", () => zoom.to(zoom.current === 1 ? null : 1));
    this.element = make("span", { class: "scales" },
      button("−", "Zoom out", () => zoom.step(-1)), this.percent,
      button("+", "Zoom in", () => zoom.step(1)));
  }

  update() {
    const { zoom, percent } = this;
    this.element.hidden = !zoom.image;
    if (!zoom.image) return;
    const words = `${Math.round(100 * zoom.current)} %`;
    const one = zoom.current === 1;
    write(percent, words);
    percent.setAttribute("aria-label", `${words}, ${one ? "show all of it" : "show at 100 %"}`);
    percent.title = one ? "Show all of it (0)" : "Show at 100 % (1)";
  }
}
