// A labelled field. What is typed stays as it was typed; what is wrong with it is said below it.
function render({ model, el }) {
  const name = `nbtool-entry-${Math.random().toString(36).slice(2)}`; // each is a module of its own
  const element = (tag, attributes) => Object.assign(document.createElement(tag), attributes);
  const many = model.get("lines") > 1;
  const field = element(many ? "textarea" : "input", { id: name, autocomplete: "off" });
  if (many) field.rows = model.get("lines");
  else field.type = "text"; // a field for numbers alone would swallow what is none
  field.setAttribute("aria-describedby", `${name}-error ${name}-hint`);
  const label = element("label", { className: "widget-label", htmlFor: name });
  const line = element("div", { className: "nbtool-entry-line" });
  const error = element("div", { id: `${name}-error`, className: "nbtool-error" });
  error.setAttribute("role", "alert");
  const hint = element("div", { id: `${name}-hint`, className: "nbtool-hint" });
  const offered = element("div", { className: "nbtool-offers" });
  const list = element("datalist", { id: `${name}-list` });
  el.classList.add("widget-inline-hbox", "nbtool-entry");
  line.append(field);
  el.append(label, line, error, hint, offered);
  let touched = false; // something is typed that was not sent yet

  const send = (value) => {
    const retyped = touched && model.get("quiet"); // what was only shown is meant now
    const changed = String(model.get("value")) !== value;
    touched = false;
    field.value = value;
    if (!changed && !retyped) return;
    model.set("value", value);
    // The panel sends it by the way that presses take: none of them overtakes it there.
    const detail = { place: model.get("place"), value, retyped };
    const said = new CustomEvent("nbtool-typed", { bubbles: true, cancelable: true, detail });
    if (el.dispatchEvent(said)) model.save_changes(); // it is in no panel
  };
  const step = (by) => {
    const size = model.get("step");
    const from = Number(field.value) / size;
    if (Number.isNaN(from)) return;
    const to = (by > 0 ? Math.floor(from + 1e-9) + 1 : Math.ceil(from - 1e-9) - 1) * size;
    send(String(Number(Math.max(model.get("least") ?? -Infinity, to).toFixed(9))));
  };
  if (model.get("step")) {
    field.inputMode = "decimal";
    const steps = element("span", { className: "nbtool-steps" });
    steps.setAttribute("aria-hidden", "true"); // the arrow keys do the same
    for (const [text, by] of [["▴", 1], ["▾", -1]]) {
      const button = element("button", { type: "button", textContent: text, tabIndex: -1 });
      button.addEventListener("click", () => field.disabled || step(by));
      steps.append(button);
    }
    line.append(steps);
    field.addEventListener("keydown", (event) => {
      const by = { ArrowUp: 1, ArrowDown: -1 }[event.key];
      if (!by || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      step(by);
    });
  }
  const [low, high] = model.get("slides");
  const slider = element("input", { type: "range", min: low, max: high, step: model.get("step") });
  if (high !== undefined) {
    slider.addEventListener("input", () => { field.value = slider.value; });
    slider.addEventListener("change", () => send(slider.value));
    line.prepend(slider);
  }
  field.addEventListener("input", () => { touched = true; });
  field.addEventListener("change", () => send(field.value));
  field.addEventListener("blur", () => {
    if (!touched) return; // else it was typed and taken back, which is no change to a browser
    if (model.get("quiet")) return send(field.value);
    touched = false;
    show();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !many) send(field.value);
  });

  const show = () => {
    label.textContent = model.get("description");
    label.title = field.title = model.get("tooltip");
    field.placeholder = model.get("placeholder");
    hint.textContent = model.get("hint");
    field.disabled = model.get("disabled");
    field.classList.toggle("nbtool-quiet", model.get("quiet"));
    if (!touched) field.value = model.get("value");
    slider.value = model.get("value");
    slider.setAttribute("aria-label", `${model.get("description")}, slider`);
  };
  const offer = () => {
    const options = model.get("options");
    list.replaceChildren(...options.map((value) => element("option", { value })));
    if (options.length) {
      line.append(list);
      field.setAttribute("list", list.id);
    }
  };
  const judge = () => {
    error.textContent = model.get("error");
    field.setAttribute("aria-invalid", String(Boolean(model.get("error"))));
    offered.replaceChildren(...model.get("offers").map((value) => {
      const button = element("button", { type: "button", className: "jupyter-button", textContent: `Use ${value}` });
      button.addEventListener("click", () => {
        field.focus();
        send(value);
      });
      return button;
    }));
  };
  // Where somebody works in this view of the panel, the keyboard goes to the field.
  const lead = (message) => {
    const panel = el.closest(".nbtool-panel");
    if (!message.lead || !panel?.contains(document.activeElement)) return;
    el.dispatchEvent(new CustomEvent("nbtool-unfold", { bubbles: true }));
    field.focus();
  };
  const heard = {
    "change:options": offer, "change:error": judge, "change:offers": judge, "msg:custom": lead,
  };
  for (const name of ["value", "description", "tooltip", "placeholder", "hint", "disabled", "quiet"]) {
    heard[`change:${name}`] = show;
  }
  for (const [name, act] of Object.entries(heard)) model.on(name, act);
  show();
  offer();
  judge();
  return () => {
    for (const [name, act] of Object.entries(heard)) model.off(name, act);
  };
}
export default { render };
