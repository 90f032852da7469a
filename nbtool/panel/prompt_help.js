// Below the prompt: how many tokens it has; and a picture dropped, pasted or chosen gives its settings.
const PIECE = 2 ** 20; // bytes of a message
const PAUSE = 250; // milliseconds without a key before what is typed is counted
const ZONE = ".nbtool-left, .nbtool-ask, .nbtool-set"; // where a picture may be dropped

function render({ model, el }) {
  const element = (tag, attributes) => Object.assign(document.createElement(tag), attributes);
  const line = element("div", { className: "nbtool-prompt-help" });
  const counted = element("span", { className: "nbtool-counted" });
  const button = element("button", {
    type: "button",
    className: "jupyter-button nbtool-from-picture",
    textContent: "Settings from a picture…",
    title: "Choose a picture made by nbtool; or drop or paste one here",
  });
  const chooser = element("input", { type: "file", hidden: true, accept: "image/*", tabIndex: -1 });
  const cut = element("div", { className: "nbtool-cut" });
  cut.setAttribute("role", "status");
  line.append(counted, button, chooser);
  el.append(line, cut);

  const show = () => {
    counted.textContent = model.get("counted");
    if (cut.textContent !== model.get("cut")) cut.textContent = model.get("cut");
  };

  let sending; // the file that Python asks for piece by piece, with its id
  const offer = (files) => {
    const [file] = files;
    if (!file) return;
    sending = { id: `${Math.random()}`, file };
    const { name, size } = file;
    model.send({ picture: { id: sending.id, name, size, others: files.length - 1 } });
  };
  const answer = async (message) => {
    if (!sending || message.want !== sending.id) return;
    const { id, file } = sending;
    let piece;
    try {
      piece = await file.slice(message.from, message.from + PIECE).arrayBuffer();
    } catch {
      piece = new ArrayBuffer(0); // gone, or a folder
    }
    if (sending?.id === id) model.send({ piece: { id } }, undefined, [piece]);
  };

  // On the window, so before a notebook takes what is dropped on it.
  const zone = (event) => {
    const found = event.target.closest?.(ZONE);
    return found?.closest(".nbtool-panel") === el.closest(".nbtool-panel") ? found : null;
  };
  let lit = null;
  const light = (next) => {
    if (lit !== next) lit?.classList.remove("nbtool-dropping");
    lit = next;
    lit?.classList.add("nbtool-dropping");
  };
  const take = (event) => {
    event.preventDefault();
    event.stopPropagation();
  };
  const over = (event) => {
    const place = event.dataTransfer?.types.includes("Files") ? zone(event) : null;
    light(place);
    if (!place) return;
    take(event);
    event.dataTransfer.dropEffect = "copy";
  };
  const leave = (event) => {
    if (!event.relatedTarget) light(null); // out of the window
  };
  const drop = (event) => {
    const place = lit && zone(event);
    light(null);
    if (!place) return;
    take(event);
    offer(event.dataTransfer.files);
  };
  const paste = (event) => {
    const data = event.clipboardData;
    // What also comes as text, as from a spreadsheet, is pasted as text.
    if (!data?.files.length || data.types.includes("text/plain") || !zone(event)) return;
    take(event);
    offer(data.files);
  };
  let pause;
  const type = (event) => {
    const prompt = el.closest(".nbtool-below-prompt")?.parentElement.querySelector("textarea");
    if (event.target !== prompt) return;
    clearTimeout(pause);
    pause = setTimeout(() => model.send({ typed: prompt.value }), PAUSE);
  };

  button.addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    offer([...chooser.files]);
    chooser.value = ""; // the same may be chosen again
  });
  const events = { dragover: over, dragleave: leave, dragend: () => light(null), drop, paste, input: type };
  for (const [name, act] of Object.entries(events)) window.addEventListener(name, act, true);
  model.on("msg:custom", answer);
  for (const name of ["counted", "cut"]) model.on(`change:${name}`, show);
  show();
  return () => {
    clearTimeout(pause);
    for (const [name, act] of Object.entries(events)) window.removeEventListener(name, act, true);
    model.off("msg:custom", answer);
    for (const name of ["counted", "cut"]) model.off(`change:${name}`, show);
  };
}
export default { render };
