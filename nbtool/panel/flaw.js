// What is wrong with the field before it, which is not our own: marks it and says so.
const AGAIN = 2000; // milliseconds between two looks at whether it is right now

function render({ model, el }) {
  el.classList.add("nbtool-error");
  el.id = `nbtool-flaw-${Math.random().toString(36).slice(2)}`;
  el.setAttribute("role", "alert");
  const field = () => el.previousElementSibling?.querySelector("select, input, textarea");
  let asking;
  const show = () => {
    const error = model.get("error");
    el.textContent = error;
    clearInterval(asking);
    if (error) asking = setInterval(look, AGAIN);
    mark();
  };
  const mark = () => {
    field()?.setAttribute("aria-describedby", el.id);
    field()?.setAttribute("aria-invalid", String(Boolean(model.get("error"))));
    return Boolean(field());
  };
  // The field may come later.
  const settle = () => el.isConnected && mark() && arrival.disconnect();
  const arrival = new MutationObserver(settle);
  arrival.observe(document.body, { childList: true, subtree: true });
  const look = () => el.isConnected && !document.hidden && toKernel(model, { look: true });
  const come = ({ target }) => target === field() && look();
  const lead = (message) => {
    const panel = el.closest(".nbtool-panel");
    if (message.lead && panel?.contains(document.activeElement)) field()?.focus();
  };
  window.addEventListener("focusin", come, true);
  model.on("change:error", show);
  model.on("msg:custom", lead);
  show();
  return () => {
    clearInterval(asking);
    arrival.disconnect();
    window.removeEventListener("focusin", come, true);
    model.off("change:error", show);
    model.off("msg:custom", lead);
  };
}
export default { render };
