const PATIENCE = 4000; // milliseconds; a press reaches Python in a tenth of one
const LOST = "The kernel was restarted or is gone, so this panel does nothing any more: run its " +
  "cell again. Its images are in the store; what you typed can be copied from here.";
const BUSY = "The kernel is busy with another cell: what you pressed is done after that.";
const SILENT = "The kernel does not answer. If it was restarted or is gone, run this cell again.";

function render({ model, el }) {
  const home = () => el.closest(".nbtool-panel");

  // While the panel lives, the pictures that stand in for it are not needed.
  const style = document.createElement("style");
  const name = model.get("still").replace(/[^\w-]/g, "");
  style.textContent =
    `.${name}, .jp-OutputArea-child:has(.${name}) { display: none !important; }`;
  el.append(style);

  // On the window, so before JupyterLab. Its single-key commands (d d, Enter, arrows) must not
  // act on the notebook while the panel has the focus; those such as Ctrl+S may.
  const press = (event) => {
    const root = home();
    if (!root || !root.contains(event.target)) return;
    const combined = event.ctrlKey || event.metaKey;
    event.target.toggleAttribute("data-lm-suppress-shortcuts", !combined && !event.altKey);
    if (event.key !== "Enter" || !combined) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    // What is being typed is sent when a field is left; here it is not left.
    event.target.dispatchEvent(new Event("change", { bubbles: true }));
    ask();
    if (!lost) go();
  };
  window.addEventListener("keydown", press, true);

  // What is typed and what is pressed take one way to Python, so they come in order. Messages of
  // several widgets may not: some wait for the cell that runs, or for an answer.
  const go = () => {
    const sweep = Boolean(home().querySelector(".nbtool-sweep")?.offsetParent);
    toKernel(model, { event: "go", sweep });
  };
  const typed = (event) => {
    if (!home()?.contains(event.target)) return;
    event.preventDefault();
    toKernel(model, { event: "typed", ...event.detail });
  };
  window.addEventListener("nbtool-typed", typed);
  const placeOf = (target) => {
    if (!home()?.contains(target)) return undefined;
    return /nbtool-at-(\d+)/.exec(target.closest("[class*='nbtool-at-']")?.className)?.[1];
  };
  const tell = (place, chosen) => toKernel(model, { event: "chosen", place: Number(place), chosen });
  const choose = (event) => {
    const { target, type } = event;
    const kind = { change: "select", click: "input[type=checkbox]" }[type];
    if (lost || !target.matches?.(kind)) return;
    const place = placeOf(target);
    if (place === undefined) return;
    event.stopImmediatePropagation(); // else ipywidgets would say it too, by another way
    tell(place, type === "change" ? target.selectedIndex : target.checked);
  };
  // Of a text, ipywidgets says no more until the kernel has taken what it said before: a press has
  // to bring the rest of it along.
  const written = new Map();
  const write = ({ target }) => {
    const place = target.matches?.("input[type=text], textarea") ? placeOf(target) : undefined;
    if (place !== undefined) written.set(place, target);
  };
  const tellWritten = () => {
    for (const [place, field] of written) if (field.isConnected) tell(place, field.value);
    written.clear();
  };
  window.addEventListener("input", write, true);
  window.addEventListener("change", choose, true);
  window.addEventListener("click", choose, true);

  // Nothing tells a widget that nobody listens, so each press asks for an answer. JupyterLab knows
  // more, of which other front ends may have nothing.
  const kernel = model.widget_manager?.kernel;
  const line = document.createElement("p");
  line.className = "nbtool-gone";
  line.setAttribute("role", "alert");
  el.append(line);
  let lost = false;
  let waiting;
  const say = (words) => {
    line.textContent = words;
    line.hidden = !words;
  };
  const lose = () => {
    lost = true;
    say(LOST);
  };
  const ask = () => {
    if (home()?.classList.contains("jupyter-widgets-disconnected")) lose();
    if (lost) line.scrollIntoView({ block: "nearest" });
    if (lost) return;
    if (!toKernel(model, { event: "ping" })) return lose();
    tellWritten();
    waiting ??= setTimeout(() => {
      waiting = undefined;
      if (!lost) say(kernel?.status === "busy" ? BUSY : SILENT);
    }, PATIENCE);
  };
  const click = (event) => {
    const button = event.target.closest?.("button");
    if (!button || !home()?.contains(button)) return;
    ask();
    const goes = !lost && button.classList.contains("nbtool-go");
    if (goes || (lost && !button.hasAttribute("aria-expanded"))) event.stopImmediatePropagation();
    if (goes) go();
  };
  // What is said beside a field once it is left may move the button that is being pressed.
  const hold = ({ target, pointerId }) => {
    const button = target.closest?.(".jupyter-button");
    if (button && home()?.contains(button)) button.setPointerCapture(pointerId);
  };
  window.addEventListener("pointerdown", hold, true);

  // A button that goes out of use while it has the keyboard hands it to its neighbour.
  const out = new MutationObserver(([{ target }]) => {
    if (target.disabled && target === document.activeElement)
      target.parentElement.querySelector("button:enabled")?.focus();
  });
  const enter = ({ target }) => {
    if (!home()?.contains(target)) return;
    out.disconnect();
    out.observe(target, { attributes: true, attributeFilter: ["disabled"] });
  };
  window.addEventListener("focusin", enter, true);

  const answered = () => {
    clearTimeout(waiting);
    waiting = undefined;
    if (!lost) say("");
  };
  say("");
  window.addEventListener("click", click, true);
  const leave = whenKernelIsGone(model, lose);

  const offer = (text) => {
    const area = document.createElement("textarea");
    area.className = "nbtool-copy";
    area.readOnly = true;
    area.value = text;
    area.rows = Math.min(16, text.split("\n").length);
    area.setAttribute("aria-label", "Python code to copy");
    el.querySelector(".nbtool-copy")?.remove();
    el.append(area);
    area.addEventListener("blur", () => area.remove());
    area.focus();
    area.select();
  };
  const receive = (message) => {
    if (message.pong) answered();
    const text = message.copy;
    if (typeof text !== "string" || !el.isConnected) return;
    const refused = () => offer(text);
    if (navigator.clipboard) navigator.clipboard.writeText(text).catch(refused);
    else refused();
  };
  model.on("msg:custom", receive);
  toKernel(model, { event: "seen" });

  return () => {
    clearTimeout(waiting);
    out.disconnect();
    window.removeEventListener("pointerdown", hold, true);
    window.removeEventListener("focusin", enter, true);
    window.removeEventListener("click", click, true);
    leave();
    window.removeEventListener("keydown", press, true);
    window.removeEventListener("nbtool-typed", typed);
    window.removeEventListener("input", write, true);
    window.removeEventListener("change", choose, true);
    window.removeEventListener("click", choose, true);
    model.off("msg:custom", receive);
  };
}
export default { render };
