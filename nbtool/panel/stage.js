function render({ model, el }) {
  const figure = document.createElement("figure");
  figure.className = "nbtool-stage";
  const image = document.createElement("img");
  const words = document.createElement("p");
  figure.append(image, words);
  el.append(figure);
  let url;

  const show = () => {
    const data = model.get("picture");
    const there = data && data.byteLength > 0;
    image.alt = model.get("alt");
    image.title = model.get("alt");
    words.textContent = model.get("empty");
    words.hidden = there;
    image.hidden = !there;
    figure.classList.toggle("nbtool-unfinished", model.get("unfinished"));
    const old = url;
    url = there ? URL.createObjectURL(new Blob([data])) : undefined;
    if (url) image.src = url; // the old picture stays until this one is ready
    else image.removeAttribute("src");
    if (old && url) image.addEventListener("load", () => URL.revokeObjectURL(old), { once: true });
    else if (old) URL.revokeObjectURL(old);
  };
  const describe = () => {
    image.alt = model.get("alt");
    image.title = model.get("alt");
    words.textContent = model.get("empty");
    figure.classList.toggle("nbtool-unfinished", model.get("unfinished"));
  };
  // On the window, so before what was clicked says so itself: by then another may be shown.
  const look = (event) => {
    const key = model.get("key");
    if (key && el.closest(".nbtool-detail")?.contains(event.target)) model.send({ look: key });
  };
  for (const event of ["focusin", "click"]) window.addEventListener(event, look, true);
  model.on("change:picture", show);
  for (const name of ["alt", "unfinished", "empty"]) model.on(`change:${name}`, describe);
  show();
  return () => {
    for (const event of ["focusin", "click"]) window.removeEventListener(event, look, true);
    model.off("change:picture", show);
    for (const name of ["alt", "unfinished", "empty"]) model.off(`change:${name}`, describe);
    if (url) URL.revokeObjectURL(url);
  };
}
export default { render };
