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
    model.send({ event: "go" });
  };
  window.addEventListener("keydown", press, true);

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
    const text = message.copy;
    if (typeof text !== "string" || !el.isConnected) return;
    const refused = () => offer(text);
    if (navigator.clipboard) navigator.clipboard.writeText(text).catch(refused);
    else refused();
  };
  model.on("msg:custom", receive);

  return () => {
    window.removeEventListener("keydown", press, true);
    model.off("msg:custom", receive);
  };
}
export default { render };
