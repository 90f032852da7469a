// Below the prompt: how many tokens it has; and a picture that is dropped, pasted or chosen gives its
// settings, or is what images start from: of one that nbtool made is asked which.
const PIECE = 2 ** 20; // bytes of a message
const PAUSE = 250; // milliseconds without a key before what is typed is counted
const START = ".nbtool-starting"; // where a picture that is dropped is started from, unasked
const ZONE = `${START}, .nbtool-left, .nbtool-ask, .nbtool-set`; // where one may be dropped

function render({ model, el }) {
  const element = (tag, attributes) => Object.assign(document.createElement(tag), attributes);
  const line = element("div", { className: "nbtool-prompt-help" });
  const counted = element("span", { className: "nbtool-counted" });
  const button = element("button", {
    type: "button",
    className: "jupyter-button nbtool-from-picture",
    textContent: "From a picture…",
    title: "Choose a picture to start from, or for its settings if nbtool made it; or drop or paste one",
  });
  const chooser = element("input", { type: "file", hidden: true, accept: "image/*", tabIndex: -1 });
  const cut = element("div", { className: "nbtool-cut" });
  cut.setAttribute("role", "status");
  line.append(counted, button, chooser);
  const asked = element("div", { className: "nbtool-asked", hidden: true });
  const question = element("span");
  question.setAttribute("role", "status");
  const answer = (wanted, textContent, more) => {
    const one = element("button", { type: "button", className: "jupyter-button", textContent, ...more });
    one.addEventListener("click", () => {
      toKernel(model, { answer: wanted });
      button.focus();
    });
    return one;
  };
  asked.append(
    question, answer("settings", "Use its settings"), answer("start", "Start from it"),
    answer("", "✕", { title: "Neither", ariaLabel: "Neither" }),
  );
  el.append(line, asked, cut);

  const show = () => {
    counted.textContent = model.get("counted");
    if (cut.textContent !== model.get("cut")) cut.textContent = model.get("cut");
    const name = model.get("asked");
    asked.hidden = !name;
    question.textContent = name && `nbtool made ${name}:`;
  };

  let sending; // the file that Python asks for piece by piece, with its id
  const offer = (files, start = false) => {
    const [file] = files;
    if (!file) return;
    sending = { id: `${Math.random()}`, file };
    const { name, size } = file;
    toKernel(model, { picture: { id: sending.id, name, size, start, others: files.length - 1 } });
  };
  const sendPiece = async (message) => {
    if (!sending || message.want !== sending.id) return;
    const { id, file } = sending;
    let piece;
    try {
      piece = await file.slice(message.from, message.from + PIECE).arrayBuffer();
    } catch {
      piece = new ArrayBuffer(0); // gone, or a folder
    }
    if (sending?.id === id) toKernel(model, { piece: { id } }, [piece]);
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
    offer(event.dataTransfer.files, Boolean(event.target.closest(START)));
  };
  const paste = (event) => {
    const data = event.clipboardData;
    // What also comes as text, as from a spreadsheet, is pasted as text.
    if (!data?.files.length || data.types.includes("text/plain") || !zone(event)) return;
    take(event);
    offer(data.files, Boolean(event.target.closest(START)));
  };
  let pause;
  const type = (event) => {
    const prompt = el.closest(".nbtool-below-prompt")?.parentElement.querySelector("textarea");
    if (event.target !== prompt) return;
    clearTimeout(pause);
    pause = setTimeout(() => toKernel(model, { typed: prompt.value }), PAUSE);
  };

  let starting = false; // what is chosen is started from
  const choose = (start) => {
    starting = start;
    chooser.click();
  };
  const click = (event) => {
    if (event.target.closest?.(".nbtool-choose") && zone(event)) choose(true);
  };
  button.addEventListener("click", () => choose(false));
  chooser.addEventListener("change", () => {
    offer([...chooser.files], starting);
    chooser.value = ""; // the same may be chosen again
  });
  const events = { dragover: over, dragleave: leave, dragend: () => light(null), drop, paste, click, input: type };
  for (const [name, act] of Object.entries(events)) window.addEventListener(name, act, true);
  model.on("msg:custom", sendPiece);
  for (const name of ["counted", "cut", "asked"]) model.on(`change:${name}`, show);
  show();
  return () => {
    clearTimeout(pause);
    for (const [name, act] of Object.entries(events)) window.removeEventListener(name, act, true);
    model.off("msg:custom", sendPiece);
    for (const name of ["counted", "cut", "asked"]) model.off(`change:${name}`, show);
  };
}
export default { render };
