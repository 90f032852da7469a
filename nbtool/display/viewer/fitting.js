// How large cells are until somebody chooses: such that a line of them fits, if that is still to be
// seen, and larger where all of them do. And how many fit on a line.

const SHEET = 0.75; // of the window, that the cells in a notebook may be high; as in viewer.css
const TALL = 1.4; // how many times as high as the room for it a grid may be, to use its width
const NARROW = 600; // pixels
const LISTED = 6; // pictures on a line, at most
const [SMALL, SEEN, USUAL, LARGE] = [56, 128, 240, 512]; // pixels

class Fitting {
  constructor(view) {
    this.view = view;
  }

  get element() {
    return this.view.sheet.element;
  }

  // Cells of a list on one line.
  perLine() {
    return Math.max(1, Math.floor((this.element.clientWidth + GAP) / this.view.sheet.width));
  }

  // Blocks side by side.
  blocksPerLine() {
    const across = this.view.arrangement.side("cols");
    const block = across.count * this.view.sheet.width + gaps(across, across.count - 1) + BETWEEN;
    return Math.max(1, Math.floor((this.room()[0] + BETWEEN) / block));
  }

  // The room for cells across and down.
  room() {
    const { sheet, arrangement, info } = this.view;
    const { rows, cols, blocks } = arrangement;
    const side = rows.length ? sheet.gutters(arrangement.side("rows")) : [];
    const high = info.live ? Math.max(620, SHEET * window.innerHeight) - 20 : this.element.clientHeight;
    const { axes } = arrangement.places;
    const pictured = cols.filter((axis) => axes[axis].pictures).length * (PICTURE + 4);
    const head = (cols.length ? 50 + pictured : 0) + (blocks.length ? HEADING : 0);
    return [side.reduce((room, width) => room - width, this.element.clientWidth), high - head];
  }

  // The widget has another width.
  sized() {
    const { sheet, toolbar, root } = this.view;
    const { clientWidth, clientHeight } = this.element;
    if (!clientWidth) return;
    root.classList.toggle("narrow", root.clientWidth < NARROW);
    toolbar.slider.min = sheet.smallest();
    if (!this.chosen && String(this.fitted) !== String([clientWidth, clientHeight])) {
      this.fit();
      this.fitted = [clientWidth, this.element.clientHeight];
    } else if (sheet.layout.columns !== this.view.layout().columns) {
      this.view.draw();
    } else {
      sheet.later();
    }
  }

  choose(size) {
    this.chosen = true;
    this.view.resize(size);
  }

  fit() {
    if (this.chosen) return;
    const { toolbar } = this.view;
    toolbar.slider.value = Math.floor(this.best() / 4) * 4;
    this.view.resize(Number(toolbar.slider.value));
  }

  best() {
    const { arrangement, sheet, info } = this.view;
    const { rows, cols, blocks } = arrangement;
    const across = arrangement.side("cols");
    const [down, apart] = ["rows", "blocks"].map((where) => arrangement.side(where).count);
    const [wide, high] = this.room();
    const listed = !rows.length && !blocks.length && cols.length < 2;
    const per = listed ? 1 : across.count; // cells that stay together on a line
    const most = listed ? Math.min(across.count, LISTED) : apart; // of these on a line
    // The size at which so many of them lie side by side, and all lines are in sight.
    const width = (side) => (wide - (side - 1) * (listed ? 0 : BETWEEN)) / side;
    const fitting = (side) => (width(side) - (listed ? 0 : gaps(across, per - 1))) / per - GAP;
    const lines = (side) => (listed ? Math.ceil(across.count / side) : down * Math.ceil(apart / side));
    const captions = arrangement.places.axes[cols[0]]?.pictures ? BESIDE : 1;
    const tall = (side) => ((TALL * high) / lines(side) - GAP - (listed ? captions * LINE + 5 : 0)) / sheet.shape;
    const sides = Array.from({ length: Math.min(most, 12) }, (_, i) => i + 1);
    const whole = Math.max(...sides.map((side) => Math.min(fitting(side), tall(side))));
    const line = listed ? Math.max(fitting(most), Math.min(SEEN, fitting(2))) : fitting(1);
    const usual = blocks.length ? SMALL : Math.min(USUAL, Math.max(SEEN, ...info.size));
    return Math.max(SMALL, Math.min(line, Math.max(usual, Math.min(LARGE, whole))));
  }
}
