// The head of what can be folded away. What is open is remembered in this browser.
function render({ model, el }) {
  const place = `nbtool:open:${model.get("name")}`;
  const remembered = () => {
    try {
      return localStorage.getItem(place);
    } catch {
      return null; // a browser may forbid it
    }
  };
  const button = document.createElement("button");
  button.type = "button";
  const [title, summary] = ["title", "summary"].map((name) => {
    const part = document.createElement("span");
    part.className = `nbtool-fold-${name}`;
    button.append(part);
    return part;
  });
  el.classList.add("nbtool-fold-head");
  el.append(button);

  const open = (is) => {
    el.classList.toggle("nbtool-open", is);
    button.setAttribute("aria-expanded", String(is));
  };
  const turn = (is) => {
    open(is);
    try {
      localStorage.setItem(place, is ? "1" : "0");
    } catch {
      // then it is not remembered
    }
  };
  const show = () => {
    title.textContent = model.get("title");
    summary.textContent = model.get("summary");
    summary.title = model.get("summary");
    el.classList.toggle("nbtool-wrong", model.get("wrong"));
  };
  button.addEventListener("click", () => turn(!el.classList.contains("nbtool-open")));
  const unfold = (event) => el.nextElementSibling?.contains(event.target) && turn(true);
  window.addEventListener("nbtool-unfold", unfold);
  const names = ["title", "summary", "wrong"].map((name) => `change:${name}`);
  for (const name of names) model.on(name, show);
  const hear = (message) => message.open && turn(true);
  model.on("msg:custom", hear);
  show();
  open(remembered() === null ? model.get("opened") : remembered() === "1");
  return () => {
    window.removeEventListener("nbtool-unfold", unfold);
    for (const name of names) model.off(name, show);
    model.off("msg:custom", hear);
  };
}
export default { render };
