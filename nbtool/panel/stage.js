// One picture as large as there is room and as crisp as it is. A click or Enter opens the enlarged
// view; Python knows what is beside.

const BLURRED = 1.5; // from here on, one sees that an enlargement is smoothed
const FULL = 0.9; // of the height there is: then all of it is taken, and what is below stays there
const WIDE = 1200; // pixels; in a wider panel, the gallery takes the rest

// How many pixels of the screen one of the picture takes, where so many are wanted on its shorter
// side: less than one where there is no room for its own, one where that will do, and else a step
// that leaves them alike. Only where no step fits, it is just as large as wanted, which is little.
function scaleIn(room, size, wanted) {
  const whole = Math.min(room[0] / size[0], room[1] / size[1]);
  const enough = wanted / Math.min(...size);
  if (whole <= 1) return whole;
  if (enough <= 1) return 1;
  const step = Math.floor(2 * whole) / 2;
  return step < enough && enough <= whole ? enough : step;
}

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
    const [width, height] = size();
    if (!figure.clientWidth || !width) return;
    const panel = (el.closest(".nbtool-workplace") ?? el).getBoundingClientRect().width;
    const half = Math.ceil(Math.min(panel, WIDE) / 2);
    place(width / height, half);
    const room = [figure.clientWidth, parseFloat(getComputedStyle(figure).maxHeight)];
    const scale = scaleIn(room.map((side) => sharp * side), [width, height], sharp * half) / sharp;
    image.style.width = `${width * scale}px`;
    image.style.height = `${height * scale}px`;
    figure.style.minHeight = height * scale > FULL * room[1] ? `${room[1]}px` : "";
    image.classList.toggle("pixels", width * scale * sharp >= BLURRED * image.naturalWidth);
  };
  // A landscape that would be low beside the form goes below it.
  const place = (ratio, half) => {
    figure.classList.remove("nbtool-across");
    figure.classList.toggle("nbtool-across", ratio > 1 && figure.clientWidth / ratio < half);
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
    const blob = new Blob([model.get("picture")], { type: "image/png" });
    if (source) URL.revokeObjectURL(source);
    source = before.byteLength ? URL.createObjectURL(new Blob([before])) : undefined;
    const uncovered = source && { url: source, alt: about.before };
    return { ...about, url, blob, size: size(), before: uncovered };
  };
  const send = (kind, more, cells) => toKernel(model, { ask: { kind, cells, ...more } });
  const host = {
    item: (id) => ({ title: id === model.get("key") ? model.get("alt") : "…", url, size: size() }),
    whole: (id) =>
      id === model.get("key") ? Promise.resolve(whole()) : new Promise((resolve) => { awaited = { id, resolve }; }),
    beside: (id, by) => (id === model.get("key") ? model.get("beside")[by < 0 ? 0 : 1] || null : null),
    count: () => model.get("count"),
    actions: (id) => pictureActions(id, id === model.get("key") && model.get("starred"), send, remove),
    hint: () => ACTIONS_HINT,
    moved: (id) => toKernel(model, { show: id }),
    closed: () => {},
  };
  const enlarged = new Enlarged(host);
  const remove = (id) => takeEnlarged(host, enlarged, send, id);
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
    if (key && el.closest(".nbtool-detail")?.contains(event.target)) toKernel(model, { look: key });
  };
  const watch = new ResizeObserver(fit);
  watch.observe(figure);
  image.addEventListener("load", fit);
  for (const event of ["focusin", "click"]) window.addEventListener(event, look, true);
  const heard = {
    "change:picture": show, "change:size": fit, "change:key": change, "change:beside": change, "change:count": change,
    "change:alt": describe, "change:unfinished": describe, "change:empty": describe,
    "change:starred": () => enlarged.update(),
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
