// What htmx does not do. Everything here makes a page that works without it quicker or kinder.

const root = document.documentElement;
root.dataset.script = "";

const on = (type, selector, act, options) =>
  document.addEventListener(type, (event) => {
    const found = event.target instanceof Element && event.target.closest(selector);
    if (found) act(found, event);
  }, options);

// Things that are of use only with JavaScript are hidden until it runs, also after htmx's swaps.
function wake(part) {
  for (const element of part.querySelectorAll("[data-select-all], [data-select-none], [data-dismiss]")) element.hidden = false;
  for (const toast of part.querySelectorAll("[data-toast]:not([data-stays])")) leaveLater(toast);
  reach();
}
document.addEventListener("htmx:afterSwap", () => wake(document));

// A filter keeps the order that the table's own links have set since the page was loaded.
document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (!detail.elt.matches("[data-filter]")) return;
  const now = new URLSearchParams(location.search);
  for (const name of detail.elt.dataset.keep.split(",")) {
    if (now.has(name)) detail.parameters.set(name, now.get(name));
  }
});

// What looks again by itself rests while nobody can see it, and is left as it is, with where the
// focus stands, while nothing has changed.
const looksAgain = (element) => element.getAttribute("hx-trigger")?.startsWith("every ");
const comesByItself = (element) => looksAgain(element) || element.getAttribute("hx-trigger") === "load";
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && looksAgain(event.detail.elt)) event.preventDefault();
});
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const shown = detail.target.dataset?.etag;
  if (shown && detail.xhr.getResponseHeader("ETag") === shown) detail.shouldSwap = false;
  // Led elsewhere, as where the session has ended: that is a page of its own and no part of this one.
  const { pathname } = new URL(detail.xhr.responseURL);
  if (pathname === new URL(detail.pathInfo.requestPath, location.href).pathname) return;
  detail.shouldSwap = false;
  if (!comesByItself(detail.elt)) location.assign(detail.xhr.responseURL);
});

// Copy
on("click", "[data-copy]", async (button) => {
  const text = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    if (!copyByHand(text, button)) return;
  }
  button.dataset.copied = "";
  say("Copied");
  clearTimeout(button.timer);
  button.timer = setTimeout(() => delete button.dataset.copied, 2000);
});

// The clipboard needs https or localhost; an installation on plain http has the older way.
function copyByHand(text, button) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  (button.closest("dialog") ?? document.body).append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  button.focus();
  return copied;
}

// What a screen reader hears
const voice = Object.assign(document.createElement("div"), { className: "visually-hidden" });
voice.setAttribute("role", "status");
document.body.append(voice);
function say(text) {
  voice.textContent = "";
  setTimeout(() => { voice.textContent = text; }, 50);
}

// What moves sideways is moved by keys too
const reach = () => {
  for (const box of document.querySelectorAll(".table__scroll, .results")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
addEventListener("resize", reach);

// Selection: one, a range with shift, all, none
let last = null;
const picks = (table) => [...table.querySelectorAll(".table__pick")];

on("click", ".table__pick", (box, event) => {
  const all = picks(box.closest("[data-table]"));
  if (event.shiftKey && last && all.includes(last)) {
    const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
    for (const each of all.slice(from, to + 1)) each.checked = box.checked;
  }
  last = box;
  chosen(box.closest("[data-table]"));
});
on("mousedown", ".table__select", (cell, event) => { if (event.shiftKey) event.preventDefault(); });
on("change", "[data-select-all]", (box) => {
  const table = box.closest("[data-table]");
  for (const each of picks(table)) each.checked = box.checked;
  chosen(table);
});
on("click", "[data-select-none]", (button) => {
  const table = button.closest("[data-table]");
  for (const each of picks(table)) each.checked = false;
  chosen(table);
});
function chosen(table) {
  const all = picks(table);
  const count = all.filter((box) => box.checked).length;
  const head = table.querySelector("[data-select-all]");
  if (head) {
    head.checked = count > 0 && count === all.length;
    head.indeterminate = count > 0 && count < all.length;
  }
  say(`${count} chosen`);
}

// Keys: "/" searches, Escape closes menus
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const open = document.querySelector("[data-menu][open]");
    if (open) { open.open = false; open.querySelector("summary").focus(); }
    return;
  }
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]")) return;
  const search = document.querySelector("[data-search]") ?? document.querySelector("[data-filter] [type=search]");
  if (search) { event.preventDefault(); search.focus(); search.select(); }
});

// Menus: close when the reader goes elsewhere, open upwards where there is no room, arrows move
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("[data-menu][open]")) {
    if (!menu.contains(event.target) || event.target.closest(".menu__item:not([data-copy])")) menu.open = false;
  }
});
document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (!(menu instanceof Element) || !menu.matches("[data-menu]")) return;
  menu.classList.remove("menu--up");
  if (menu.open) {
    const box = menu.querySelector(".menu__panel").getBoundingClientRect();
    menu.classList.toggle("menu--up", box.bottom > innerHeight && box.height < box.top);
  }
}, true);
on("keydown", "[data-menu][open]", (menu, event) => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  event.preventDefault();
  const items = [...menu.querySelectorAll(".menu__item")];
  const step = event.key === "ArrowDown" ? 1 : -1;
  const at = items.indexOf(document.activeElement);
  items.at(at < 0 && step < 0 ? -1 : (at + step) % items.length)?.focus();
});

// Toasts
function leaveLater(toast) {
  if (toast.timer) return;
  const start = () => { toast.timer = setTimeout(() => toast.remove(), 6000); };
  const stop = () => clearTimeout(toast.timer);
  toast.addEventListener("mouseenter", stop);
  toast.addEventListener("mouseleave", start);
  toast.addEventListener("focusin", stop);
  toast.addEventListener("focusout", start);
  start();
}
on("click", "[data-dismiss]", (button) => button.closest("[data-toast]").remove());

// Theme: at once, and remembered
on("click", "[data-theme-choice] button", async (button, event) => {
  event.preventDefault();
  const form = button.form;
  root.dataset.theme = button.value;
  document.querySelector('meta[name="color-scheme"]').content = button.value === "auto" ? "light dark" : button.value;
  for (const each of form.querySelectorAll("button")) each.setAttribute("aria-pressed", String(each === button));
  const body = new FormData(form);
  body.set("theme", button.value);
  await fetch(form.getAttribute("action"), { method: "POST", body, redirect: "manual" });
});

// A path that follows the name until somebody types another one
on("input", "[data-path-for]", (name) => {
  const path = document.getElementById(name.dataset.pathFor);
  if (!path || path.dataset.typed !== undefined) return;
  path.value = name.value.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase()
    .replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
});
on("input", "input[data-path]", (path) => {
  if (path.value) path.dataset.typed = "";
  else delete path.dataset.typed;
});

// Dialogs: one that is in the page …
on("click", "[data-dialog]", (button, event) => {
  const dialog = document.getElementById(button.dataset.dialog);
  if (!dialog) return;
  event.preventDefault();
  dialog.showModal();
});
on("click", "dialog[data-closes]", (dialog, event) => { if (event.target === dialog) dialog.close(); });
on("click", "dialog [data-cancel]", (link, event) => { event.preventDefault(); link.closest("dialog").close(); });

// … or the decision that a page of its own asks for, shown here. If anything is not as expected,
// the browser goes to that page as it would have without us.
on("click", "a[data-modal]", (link, event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  showPanel(link, link.href, {}, () => location.assign(link.href));
});
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button?.matches("[data-modal]")) return;
  event.preventDefault();
  const form = event.target;
  const body = new URLSearchParams(new FormData(form, button));
  const url = new URL(button.getAttribute("formaction") ?? form.getAttribute("action") ?? "", location.href);
  const post = (button.getAttribute("formmethod") ?? form.getAttribute("method")) === "post";
  if (!post) url.search = body;
  const plain = () => { delete button.dataset.modal; form.requestSubmit(button); };
  showPanel(button, url, post ? { method: "POST", body } : {}, plain);
});
// Where the focus goes once a dialog is closed: to what has opened it, or, where that stood in a menu
// that is closed by now, to the menu's own button.
function giveBackTo(opener) {
  const menu = opener.closest("[data-menu]");
  const back = menu && !menu.open ? menu.querySelector("summary") : opener;
  if (document.activeElement === document.body) back.focus();
}
// The page below may have the same form: what a label names is in the dialog, and not there.
function renameIn(panel) {
  for (const element of panel.querySelectorAll("[id]")) {
    const { id } = element;
    if (!document.getElementById(id)) continue;
    element.id = `dialog_${id}`;
    for (const name of ["for", "aria-describedby", "aria-labelledby"]) {
      for (const other of panel.querySelectorAll(`[${name}~="${CSS.escape(id)}"]`)) {
        const ids = other.getAttribute(name).split(" ");
        other.setAttribute(name, ids.map((each) => (each === id ? element.id : each)).join(" "));
      }
    }
  }
}
async function showPanel(opener, url, options, otherwise) {
  let panel = null;
  try {
    const response = await fetch(url, { ...options, headers: { "X-Requested-With": "fetch" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    panel = response.ok && page.querySelector("[data-panel]");
  } catch { /* the page itself will say what is wrong */ }
  if (!panel) return otherwise();
  renameIn(panel);
  const dialog = document.createElement("dialog");
  dialog.className = "dialog";
  dialog.dataset.closes = "";
  dialog.append(document.adoptNode(panel));
  dialog.addEventListener("close", () => { dialog.remove(); giveBackTo(opener); });
  document.body.append(dialog);
  dialog.showModal();
}

wake(document);
