// Elements from text that is never read as HTML.

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function button(text, label, action) {
  const element = make("button", { type: "button", class: "button", "aria-label": label }, text);
  element.title = label === text ? "" : label;
  element.addEventListener("click", action);
  return element;
}

// Not done again by the second press of a double click: by then, the button may be another's.
function single(action) {
  return (event) => event.detail < 2 && action();
}

// A drop-down of values and texts.
function select(label, options, chosen, change) {
  const element = make("select", { "aria-label": label });
  for (const [value, text] of options) element.append(make("option", { value }, text));
  element.value = chosen;
  element.addEventListener("change", () => change(element.value));
  return element;
}

// Sets what has changed only: a page that fills must not disturb what is being read.
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Rows of a label, a value, and what the label stands for.
function pairsTable(pairs) {
  const rows = pairs.map(([label, value, name = ""]) =>
    make("tr", {}, make("th", { scope: "row", title: name }, label), make("td", { dir: "auto" }, value)));
  return make("table", {}, make("tbody", {}, ...rows));
}

// Whether there are fingers, and no mouse or keys.
function touched() {
  return window.matchMedia("(hover: none)").matches;
}

async function copyText(text, beside) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", { "aria-hidden": true });
    area.value = text;
    beside.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
