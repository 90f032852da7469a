// The handle of an axis: dragged, or moved by the arrow keys, it takes its row with it.
let moved = null; // the panel in which the row was moved by a key: there it keeps the focus

function render({ model, el }) {
  const handle = document.createElement("button");
  handle.type = "button";
  handle.className = "nbtool-handle";
  handle.textContent = "⠿";
  handle.title = "Drag, or press ↑ and ↓: the order of the axes";
  el.classList.add("nbtool-handle-place");
  el.append(handle);

  const row = () => el.closest(".nbtool-axis");
  const panel = () => el.closest(".nbtool-panel");
  const show = () => {
    handle.setAttribute("aria-label", model.get("label"));
    const said = row()?.querySelector(".nbtool-notice");
    const parts = Object.entries(fields());
    if (!said || !parts.every(([, field]) => field)) return false;
    said.id ||= `nbtool-axis-${Math.random().toString(36).slice(2)}`;
    for (const [name, field] of parts) {
      field.setAttribute("aria-describedby", said.id);
      field.setAttribute("aria-invalid", String(name === model.get("wrong")));
    }
    return true;
  };
  const fields = () => ({
    name: row()?.querySelector("select"), values: row()?.querySelector(".nbtool-values input"),
  });
  const lead = (message) => {
    if (message.lead && panel()?.contains(document.activeElement)) fields()[model.get("wrong")]?.focus();
  };
  // The other parts of the row come when they like.
  const settle = (turns) => {
    if (moved && moved === panel()) {
      moved = null;
      handle.focus();
    }
    if (!show() && turns) requestAnimationFrame(() => settle(turns - 1));
  };

  const rows = () => [...row().parentElement.children].filter((one) => one.matches(".nbtool-axis"));
  const move = (by) => {
    const to = rows().indexOf(row()) + by;
    if (by && to >= 0 && to < rows().length) toKernel(model, { move: by });
  };
  handle.addEventListener("keydown", (event) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    moved = panel();
    move(by);
  });

  // Where the row was from which somebody pressed Remove, the next one has the keyboard then.
  const remove = (event) => {
    if (!row() || row() !== event.target.closest?.(".nbtool-remove")?.closest(".nbtool-axis")) return;
    const [gone, home, place, left] = [row(), panel(), rows().indexOf(row()), rows().length - 1];
    const rest = () => home.querySelectorAll(".nbtool-axis");
    const follow = new MutationObserver(() => {
      if (gone.isConnected) return;
      const lost = [null, document.body].includes(document.activeElement);
      const heir = place < left ? rest()[place]?.querySelector(".nbtool-remove") : home.querySelector(".nbtool-add");
      if (lost && (!heir || rest().length !== left)) return; // it is on its way
      follow.disconnect();
      if (lost) heir.focus();
    });
    follow.observe(home, { childList: true, subtree: true });
  };
  window.addEventListener("click", remove, true);

  let target = null; // the row in whose place it would be let go
  const mark = (next) => {
    target?.classList.remove("nbtool-axis-target");
    target = next && next !== row() ? next : null;
    target?.classList.add("nbtool-axis-target");
  };
  const drop = () => {
    const by = target ? rows().indexOf(target) - rows().indexOf(row()) : 0;
    end();
    move(by);
  };
  const end = () => {
    row().classList.remove("nbtool-axis-dragged");
    mark(null);
  };
  handle.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    handle.setPointerCapture(event.pointerId);
    row().classList.add("nbtool-axis-dragged");
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    mark(rows().find((one) => {
      const { top, bottom } = one.getBoundingClientRect();
      return event.clientY >= top && event.clientY <= bottom;
    }));
  });
  handle.addEventListener("pointerup", drop);
  handle.addEventListener("pointercancel", end);

  for (const name of ["label", "wrong"]) model.on(`change:${name}`, show);
  model.on("msg:custom", lead);
  settle(120);
  return () => {
    model.off("msg:custom", lead);
    window.removeEventListener("click", remove, true);
    for (const name of ["label", "wrong"]) model.off(`change:${name}`, show);
  };
}
export default { render };
