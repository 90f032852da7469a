// Elements from text that is never read as HTML, and the dialog with one enlarged image.
const ENLARGED = 4; // times its size, at most: beyond there is nothing more to see

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function recipeTable(pairs) {
  const rows = pairs.map(([name, value]) =>
    make("tr", {}, make("th", { scope: "row" }, name), make("td", { dir: "auto" }, value)));
  return make("table", {}, make("tbody", {}, ...rows));
}

async function copyText(text, dialog) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", { "aria-hidden": true });
    area.value = text;
    dialog.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

function imageActions(image, source, dialog) {
  const python = make("button", { type: "button", class: "button" }, "Copy as Python");
  python.addEventListener("click", async () => {
    await copyText(image.python, dialog);
    python.textContent = "Copied";
    python.focus();
    setTimeout(() => (python.textContent = "Copy as Python"), 1500);
  });
  const kind = image.file.split(".").pop().toUpperCase();
  const link = make("a", { class: "button", download: image.file }, `Download ${kind}`);
  link.href = source;
  return make("div", { class: "actions" }, python, link);
}

// `cell` is the reason of a failure where there is no `image`, or null if it was not made.
function showEnlarged(dialog, { title, cell, image, source, hint }) {
  const close = make("button", { type: "button", class: "button", "aria-label": "Close" }, "✕");
  close.addEventListener("click", () => dialog.close());
  const top = make("div", { class: "top" }, make("h2", { dir: "auto" }, title), close);
  const stage = make("div", { class: "stage" });
  const details = make("div", { class: "details" }, top);
  if (image) {
    const picture = make("img", { alt: `${title}. ${image.caption}` });
    picture.style.maxWidth = `${ENLARGED * image.size[0]}px`;
    picture.style.maxHeight = `${ENLARGED * image.size[1]}px`;
    picture.src = source;
    stage.append(picture);
    details.append(imageActions(image, source, dialog), recipeTable(image.recipe));
    if (image.made.length) {
      const summary = make("summary", {}, "How it was made");
      details.append(make("details", {}, summary, recipeTable(image.made)));
    }
  } else if (cell === null) {
    stage.append(make("p", {}, "not made"));
  } else {
    stage.append(make("p", {}, make("span", { class: "alert" }, "failed"), `\n${cell}`));
  }
  details.append(make("p", { class: "hint" }, hint));
  dialog.replaceChildren(make("div", { class: "enlarged" }, stage, details));
  if (!dialog.open) dialog.showModal();
  close.focus({ focusVisible: false });
}
