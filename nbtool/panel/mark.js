// A star or a note of one image. What it sends names the image: it may come when another is shown.
function render({ model, el }) {
  const isNote = typeof model.get("value") === "string";
  const field = document.createElement(isNote ? "input" : "button");
  const label = document.createElement("label");
  let about; // the image that is being written about, and what was there before
  let before;

  const show = () => {
    const words = model.get("description");
    if (isNote) {
      label.textContent = words;
      if (about === undefined) field.value = model.get("value");
    } else {
      field.textContent = words;
      field.setAttribute("aria-pressed", model.get("value"));
      field.classList.toggle("mod-active", model.get("value"));
    }
  };
  const begin = () => {
    if (about !== undefined) return;
    about = model.get("key");
    before = model.get("value"); // also where what was written was not kept
  };
  const leave = () => {
    if (about === undefined) return;
    if (field.value !== before) toKernel(model, { key: about, value: field.value });
    const isShown = about === model.get("key");
    about = undefined;
    if (!isShown) show();
  };

  if (isNote) {
    el.classList.add("widget-inline-hbox", "widget-text");
    label.className = "widget-label";
    label.htmlFor = field.id = `nbtool-mark-${Math.random().toString(36).slice(2)}`;
    field.type = "text";
    field.placeholder = model.get("tooltip");
    field.addEventListener("focus", begin);
    field.addEventListener("input", begin);
    field.addEventListener("change", leave);
    field.addEventListener("blur", leave);
    el.append(label);
  } else {
    field.type = "button";
    field.className = "jupyter-button widget-toggle-button";
    field.title = model.get("tooltip");
    field.addEventListener("click", () =>
      toKernel(model, { key: model.get("key"), value: !model.get("value") }));
  }
  el.append(field);
  const names = ["key", "value", "description"];
  for (const name of names) model.on(`change:${name}`, show);
  show();
  return () => {
    leave();
    for (const name of names) model.off(`change:${name}`, show);
  };
}
export default { render };
