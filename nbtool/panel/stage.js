// One picture as large as there is room, pixel by pixel: where it is enlarged, each of its pixels
// is as many of the screen's. A click or Enter opens the enlarged view; Python knows what is beside.
function render({ model, el }) {
  const figure = make("figure", { class: "nbtool-stage" });
  const open = make("button", { type: "button", class: "nbtool-stage-open" });
  const image = make("img");
  const words = make("p");
  open.append(image);
  figure.append(open, words);
  let url;
  let source; // the URL of what it was made from
  let awaited = null; // what the enlarged view waits for: {id, resolve}

  const size = () => {
    const [width, height] = model.get("size");
    return width ? [width, height] : [image.naturalWidth, image.naturalHeight];
  };
  const fit = () => {
    const sharp = window.devicePixelRatio;
    const room = [figure.clientWidth, parseFloat(getComputedStyle(figure).maxHeight)];
    const [width, height] = size();
    if (!room[0] || !width) return;
    const whole = sharp * Math.min(room[0] / width, room[1] / height);
    const scale = (whole > 1 ? Math.floor(2 * whole) / 2 : whole) / sharp;
    image.style.width = `${width * scale}px`;
    image.style.height = `${height * scale}px`;
    image.classList.toggle("pixels", width * scale * sharp > image.naturalWidth);
  };
  const describe = () => {
    const [alt, unfinished] = [model.get("alt"), model.get("unfinished")];
    image.alt = alt;
    open.title = alt;
    open.setAttribute("aria-label", `Enlarge: ${alt}`);
    open.disabled = unfinished;
    write(words, model.get("empty"));
    figure.classList.toggle("nbtool-unfinished", unfinished);
  };
  const show = () => {
    const data = model.get("picture");
    const there = data && data.byteLength > 0;
    words.hidden = there;
    open.hidden = !there;
    describe();
    const old = url;
    url = there ? URL.createObjectURL(new Blob([data], { type: "image/png" })) : undefined;
    if (url) image.src = url; // the old picture stays until this one is ready
    else image.removeAttribute("src");
    if (old && url) image.addEventListener("load", () => URL.revokeObjectURL(old), { once: true });
    else if (old) URL.revokeObjectURL(old);
  };

  const whole = () => {
    const [about, before] = [model.get("about"), model.get("before")];
    if (source) URL.revokeObjectURL(source);
    source = before.byteLength ? URL.createObjectURL(new Blob([before])) : undefined;
    return { ...about, url, size: size(), before: source && { url: source, alt: about.before } };
  };
  const enlarged = new Enlarged({
    item: (id) => ({ title: id === model.get("key") ? model.get("alt") : "…", url, size: size() }),
    whole: (id) =>
      id === model.get("key") ? Promise.resolve(whole()) : new Promise((resolve) => { awaited = { id, resolve }; }),
    beside: (id, by) => (id === model.get("key") ? model.get("beside")[by < 0 ? 0 : 1] || null : null),
    count: () => model.get("count"),
    actions: () => [],
    hint: () => "← → the images beside it, Esc back to the panel",
    moved: (id) => model.send({ show: id }),
    closed: () => {},
  });
  el.append(figure, enlarged.element);
  const change = () => {
    const key = model.get("key");
    if (!enlarged.open) return;
    if (awaited?.id === key) awaited.resolve(whole());
    else if (key && key !== enlarged.id) enlarged.show(key);
    awaited = null;
    enlarged.update();
  };
  open.addEventListener("click", () => enlarged.show(model.get("key")));

  // On the window, so before what was clicked says so itself: by then another may be shown.
  const look = (event) => {
    const key = model.get("key");
    if (key && el.closest(".nbtool-detail")?.contains(event.target)) model.send({ look: key });
  };
  const watch = new ResizeObserver(fit);
  watch.observe(figure);
  image.addEventListener("load", fit);
  for (const event of ["focusin", "click"]) window.addEventListener(event, look, true);
  const heard = {
    "change:picture": show, "change:size": fit, "change:key": change, "change:beside": change,
    "change:alt": describe, "change:unfinished": describe, "change:empty": describe,
  };
  for (const [name, act] of Object.entries(heard)) model.on(name, act);
  show();
  return () => {
    watch.disconnect();
    for (const event of ["focusin", "click"]) window.removeEventListener(event, look, true);
    for (const [name, act] of Object.entries(heard)) model.off(name, act);
    for (const one of [url, source]) if (one) URL.revokeObjectURL(one);
  };
}
export default { render };
