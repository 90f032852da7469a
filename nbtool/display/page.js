// Shows a grid inside an element. `data` is what page.py writes; text goes in as text only.
// Needs page_dialog.js.
function render(data, root) {
  "use strict";
  const axes = data.axes;
  const state = { rows: data.rows, cols: data.cols, place: axes.map(() => 0) };
  const urls = new Map();

  // A blob rather than the data URI: decoded once, and a link to it downloads in any browser.
  function url(number) {
    if (!urls.has(number)) {
      const [head, body] = data.images[number].src.split(",", 2);
      const bytes = Uint8Array.from(atob(body), (character) => character.charCodeAt(0));
      const blob = new Blob([bytes], { type: head.slice(5, head.indexOf(";")) });
      urls.set(number, URL.createObjectURL(blob));
    }
    return urls.get(number);
  }

  const cellAt = (place) =>
    data.cells[axes.reduce((sum, axis, i) => sum * axis.labels.length + place[i], 0)];
  const imageAt = (place) => {
    const cell = cellAt(place);
    return typeof cell === "number" ? data.images[cell] : null;
  };
  const named = (place, some) => some.map((i) => `${axes[i].name} ${axes[i].labels[place[i]]}`);
  const every = axes.map((_, i) => i);
  const paged = () => every.filter((i) => i !== state.rows && i !== state.cols);
  const caption = (place) => named(place, every).join(" · ") || data.title;
  const length = (axis) => (axis === null ? 1 : axes[axis].labels.length);
  const at = (row, col) => {
    const place = [...state.place];
    if (state.rows !== null) place[state.rows] = row;
    if (state.cols !== null) place[state.cols] = col;
    return place;
  };

  // The page: heading, controls, cells, a line about the cell under the pointer.

  const title = make("h1", { dir: "auto" }, data.title || "(no prompt)");
  const toolbar = make("div", { class: "toolbar", role: "group", "aria-label": "View" });
  const main = make("main", { "aria-label": "Images" });
  const line = make("output", { "aria-live": "off" });
  const dialog = make("dialog", { "aria-label": "Enlarged image" });
  const slider = make("input", { type: "range", min: 48, max: 512, step: 4 });
  const intro = make("div", {}, title, make("p", {}, data.summary));
  if (data.note) intro.append(make("p", {}, data.note));
  const header = make("header", {}, intro, make("label", {}, "Size", slider));
  const made = make("span", {}, `made with nbtool ${data.version}`);
  root.classList.add("nbtool-view");
  root.classList.toggle("pixels", Math.max(...data.size) < 96);
  root.style.setProperty("--shape", data.size[1] / data.size[0]);
  root.replaceChildren(header, toolbar, main, make("footer", {}, line, made), dialog);

  function choice(label, options, chosen, change) {
    const select = make("select", { "aria-label": label });
    for (const [value, text] of options) {
      const option = make("option", { value: value === null ? "" : value }, text);
      option.selected = value === chosen;
      select.append(option);
    }
    select.addEventListener("change", () => {
      change(select.value === "" ? null : Number(select.value));
      draw();
      for (const again of toolbar.querySelectorAll("select"))
        if (again.getAttribute("aria-label") === label) again.focus();
    });
    return select;
  }

  function drawToolbar() {
    const parts = [];
    if (axes.length > 1) {
      const options = [...axes.map((axis, i) => [i, axis.name]), [null, "–"]];
      for (const [label, here, there] of [["Rows", "rows", "cols"], ["Columns", "cols", "rows"]]) {
        const select = choice(label, options, state[here], (axis) => {
          if (axis !== null && axis === state[there]) state[there] = state[here];
          state[here] = axis;
        });
        parts.push(make("label", {}, label, select));
      }
    }
    for (const axis of paged()) {
      const { name, labels } = axes[axis];
      const options = labels.map((label, i) => [i, label]);
      const select = choice(name, options, state.place[axis], (i) => (state.place[axis] = i));
      const step = (by, text, label) => {
        const button = make("button", { type: "button", class: "button", "aria-label": label }, text);
        button.disabled = !(state.place[axis] + by in labels);
        button.addEventListener("click", () => {
          state.place[axis] += by;
          draw();
          const again = toolbar.querySelectorAll("button");
          for (const one of again) if (one.getAttribute("aria-label") === label) one.focus();
        });
        return button;
      };
      const before = step(-1, "‹", `Previous ${name}`);
      const after = step(1, "›", `Next ${name}`);
      parts.push(make("span", { class: "pager" }, make("span", {}, name), before, select, after));
    }
    toolbar.replaceChildren(...parts);
  }

  function cellButton(row, col) {
    const place = at(row, col);
    const cell = cellAt(place);
    const button = make("button", { type: "button", class: "cell", tabindex: -1 });
    button.dataset.row = row;
    button.dataset.col = col;
    if (typeof cell === "number") {
      button.classList.add("made");
      const image = make("img", { alt: caption(place), decoding: "async", draggable: false });
      const [width, height] = data.images[cell].size;
      image.style.width = `${(100 * width) / data.size[0]}%`;
      image.style.height = `${(100 * height) / data.size[1]}%`;
      image.src = url(cell);
      button.append(image);
    } else if (cell === null) {
      button.classList.add("empty", "missing");
      button.append("not made");
    } else {
      button.classList.add("empty");
      button.append(make("span", { class: "alert" }, "failed"), make("br"), cell);
    }
    return button;
  }

  const heading = (text, attributes) => {
    const th = make("th", attributes, make("div", { dir: "auto" }, text));
    th.title = text;
    return th;
  };

  function drawCells() {
    const { rows, cols } = state;
    const across = [...Array(length(cols)).keys()];
    if (rows === null) {
      const flow = across.map((col) => {
        const text = cols === null ? "" : axes[cols].labels[col];
        return make("div", {}, make("div", { dir: "auto", title: text }, text), cellButton(0, col));
      });
      const name = cols === null ? "" : axes[cols].name;
      main.replaceChildren(make("div", { class: "axis" }, name), make("div", { class: "flow" }, ...flow));
      return;
    }
    const head = make("tr", {}, heading(axes[rows].name, { class: "corner" }));
    if (cols !== null) {
      head.firstChild.prepend(make("div", { dir: "auto" }, `${axes[cols].name} →`));
      head.firstChild.lastChild.append(" ↓");
      for (const col of across) head.append(heading(axes[cols].labels[col], { scope: "col" }));
    }
    const body = make("tbody");
    for (let row = 0; row < length(rows); row += 1) {
      const line = make("tr", {}, heading(axes[rows].labels[row], { scope: "row" }));
      for (const col of across) line.append(make("td", {}, cellButton(row, col)));
      body.append(line);
    }
    main.replaceChildren(make("table", { class: "grid" }, make("thead", {}, head), body));
  }

  const here = () => [state.rows, state.cols].map((axis) => (axis === null ? 0 : state.place[axis]));
  const buttonAt = (row, col) =>
    main.querySelector(`.cell[data-row="${row}"][data-col="${col}"]`);

  function enter(button) {
    main.querySelector('.cell[tabindex="0"]')?.setAttribute("tabindex", -1);
    button.setAttribute("tabindex", 0);
    state.place = at(Number(button.dataset.row), Number(button.dataset.col));
  }

  function draw() {
    drawToolbar();
    drawCells();
    enter(buttonAt(...here()));
    line.textContent = "";
  }

  // Walking: arrows along rows and columns, PageUp and PageDown through everything else.

  function walk(axis, by) {
    const next = axis === null ? -1 : state.place[axis] + by;
    if (next < 0 || next >= length(axis)) return false;
    state.place[axis] = next;
    return true;
  }

  function turn(by) {
    const some = paged().reverse();
    const stuck = some.findIndex((axis) => walk(axis, by));
    if (stuck < 0) return false;
    for (const axis of some.slice(0, stuck)) state.place[axis] = by > 0 ? 0 : length(axis) - 1;
    return true;
  }

  function perLine() {
    const tops = [...main.querySelectorAll(".flow .cell")].map((cell) => cell.offsetTop);
    return tops.filter((top) => top === tops[0]).length;
  }

  function moved(key) {
    const { rows, cols } = state;
    if (key === "ArrowLeft") return walk(cols, -1);
    if (key === "ArrowRight") return walk(cols, 1);
    if (key === "ArrowUp") return rows === null ? walk(cols, -perLine()) : walk(rows, -1);
    if (key === "ArrowDown") return rows === null ? walk(cols, perLine()) : walk(rows, 1);
    if (key === "PageUp") return turn(-1);
    return turn(1);
  }

  root.addEventListener("keydown", (event) => {
    const arrow = /^Arrow(Left|Right|Up|Down)$/.test(event.key);
    const page = /^Page(Up|Down)$/.test(event.key);
    const walking = dialog.open || event.target.closest(".cell");
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("select, input")) return;
    if (!(arrow && walking) && !(page && paged().length)) return;
    event.preventDefault();
    if (!moved(event.key)) return;
    const focused = Boolean(event.target.closest(".cell"));
    if (page) draw();
    if (dialog.open) return enlarge();
    enter(buttonAt(...here()));
    if (focused) buttonAt(...here()).focus();
  });

  function about(event) {
    const button = event.target.closest(".cell");
    if (!button) return;
    const place = at(Number(button.dataset.row), Number(button.dataset.col));
    const cell = cellAt(place);
    const rest = imageAt(place)?.caption ?? (cell === null ? "not made" : `failed: ${cell}`);
    line.textContent = [named(place, every).join(" · "), rest].filter(Boolean).join("  –  ");
  }
  main.addEventListener("pointerover", about);
  main.addEventListener("focusin", (event) => {
    about(event);
    if (event.target.closest(".cell")) enter(event.target.closest(".cell"));
  });
  main.addEventListener("click", (event) => {
    const button = event.target.closest(".cell");
    if (!button) return;
    enter(button);
    enlarge();
  });
  slider.addEventListener("input", () => root.style.setProperty("--size", `${slider.value}px`));

  // The enlarged image with its recipe.

  function hint() {
    const parts = [];
    if (state.cols !== null) parts.push(`← → ${axes[state.cols].name}`);
    if (state.rows !== null) parts.push(`↑ ↓ ${axes[state.rows].name}`);
    if (paged().length) parts.push(`PgUp PgDn ${paged().map((i) => axes[i].name).join(", ")}`);
    return parts.join("  ·  ");
  }

  function enlarge() {
    const cell = cellAt(state.place);
    const image = imageAt(state.place);
    const source = image && url(cell);
    showEnlarged(dialog, { title: caption(state.place), cell, image, source, hint: hint() });
  }

  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    const button = buttonAt(...here());
    enter(button);
    button.focus();
    button.scrollIntoView({ block: "nearest", inline: "nearest" });
  });

  const room = (root.clientWidth || 900) - (state.rows === null ? 48 : 190);
  const columns = state.rows === null ? Math.min(8, length(state.cols)) : length(state.cols);
  slider.value = Math.max(72, Math.min(240, Math.max(...data.size), room / columns - 8));
  root.style.setProperty("--size", `${slider.value}px`);
  draw();
}
