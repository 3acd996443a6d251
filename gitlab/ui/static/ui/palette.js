// The command palette: Ctrl-K (or ⌘K) opens the search in a dialog, results come as one types, arrows
// go through them. Without JavaScript the bar's search leads to the same page.

const bar = document.querySelector("form.bar__search");

document.addEventListener("keydown", (event) => {
  if (!bar || event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
  event.preventDefault();
  const open = document.querySelector("dialog.palette");
  if (open) open.querySelector("input").select();
  else if (!document.querySelector("dialog[open]")) show();
});

function show() {
  const opener = document.activeElement;
  const dialog = document.createElement("dialog");
  dialog.className = "dialog palette";
  dialog.setAttribute("aria-label", "Search everywhere");
  const form = bar.cloneNode(true);
  form.className = "search palette__search";
  form.querySelector("kbd")?.remove();
  const input = form.querySelector("input");
  input.value = "";
  input.removeAttribute("data-search");
  const said = document.createElement("div");
  said.className = "palette__results";
  said.setAttribute("aria-live", "polite");
  dialog.append(form, said);
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (document.activeElement === document.body) opener?.focus?.();
  });
  dialog.addEventListener("keydown", (event) => move(dialog, input, event));
  input.addEventListener("input", () => ask(input, said));
  document.body.append(dialog);
  dialog.showModal();
  input.focus();
}

// Only the answer to what stands there now is shown, whichever comes last.
function ask(input, said) {
  clearTimeout(input.timer);
  input.timer = setTimeout(async () => {
    const text = input.value.trim();
    const url = new URL(bar.action, location.href);
    url.searchParams.set("q", text);
    let results = null;
    try {
      const response = await fetch(url, { headers: { "X-Requested-With": "fetch" } });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      results = response.ok && page.querySelector("[data-results]");
    } catch { /* Enter leads to the page, which says what is wrong. */ }
    if (!results || input.value.trim() !== text) return;
    const shown = document.adoptNode(results);
    shown.removeAttribute("id");
    said.replaceChildren(shown);
  }, 150);
}

function move(dialog, input, event) {
  const links = [...dialog.querySelectorAll(".found__link")];
  const at = links.indexOf(document.activeElement);
  if (event.key === "ArrowDown") (links[at + 1] ?? links[0])?.focus();
  else if (event.key === "ArrowUp") (at > 0 ? links[at - 1] : input).focus();
  else if (event.key === "Enter" && document.activeElement === input && links.length === 1) location.assign(links[0].href);
  else return;
  event.preventDefault();
}
