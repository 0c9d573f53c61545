/* Where one is, which keys there are, and what is the same on all pages. */

import { api, repeat } from "./api.js";
import { h, svg } from "./dom.js";
import { number } from "./format.js";
import { new_page } from "./new.js";
import { queue_page } from "./queue.js";
import { run_page } from "./run.js";
import { runs_page } from "./runs.js";
import { load_settings, settings_page } from "./settings.js";

const main = document.getElementById("main");
let page = null;

function go(address) {
  location.hash = address;
}

function open_page() {
  const [path, words] = (location.hash.slice(1) || "/").split("?");
  const parameters = new URLSearchParams(words ?? "");
  const [, first, second] = path.split("/");
  page?.close();
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
  main.className = "";
  if (first === "runs" && second) page = run_page(main, decodeURIComponent(second), parameters, go);
  else if (first === "queue") page = queue_page(main);
  else if (first === "settings") page = settings_page(main);
  else if (first === "new") page = new_page(main, parameters, go);
  else page = runs_page(main, parameters, go);
  document.title = `${page.title} – runner`;
  for (const link of document.querySelectorAll("[data-section]")) {
    if (link.dataset.section === page.section) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  window.scrollTo(0, 0);
  /* So that the keyboard, and who reads aloud, are where the page begins. */
  if (!main.contains(document.activeElement)) main.focus({ preventScroll: true });
}

/* --- light and dark --- */

const SUN = "M12 4V2m0 20v-2m8-8h2M2 12h2m13.7-5.7 1.4-1.4M4.9 19.1l1.4-1.4m0-11.4L4.9 4.9m14.2 14.2-1.4-1.4M16 12a4 4 0 1 1-8 0 4 4 0 0 1 8 0z";
const MOON = "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z";
const system = matchMedia("(prefers-color-scheme: dark)");

function is_dark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : system.matches;
}

function show_theme() {
  document.getElementById("theme").replaceChildren(svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" },
    svg("path", { d: is_dark() ? SUN : MOON, fill: "none", stroke: "currentColor", "stroke-width": "1.8", "stroke-linecap": "round", "stroke-linejoin": "round" })));
}

function set_theme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  try {
    if (theme) localStorage.setItem("theme", theme);
    else localStorage.removeItem("theme");
  } catch {
    /* Until the page is closed, then. */
  }
  show_theme();
}

document.getElementById("theme").addEventListener("click", () => set_theme(is_dark() ? "light" : "dark"));
document.addEventListener("theme", (event) => set_theme(event.detail));
system.addEventListener("change", show_theme);
show_theme();

/* --- keys --- */

const KEYS = [
  ["Everywhere", [["?", "these keys"], ["h", "runs"], ["q", "queue"], ["n", "new run (outside of a run)"], ["d", "light or dark"], ["/", "search"], ["Esc", "back"]]],
  ["In lists", [["j", "next"], ["k", "previous"], ["Enter", "open"], ["[", "newer"], ["]", "older"]]],
  ["In a run", [["j", "next step"], ["k", "previous step"], ["n", "next place found"], ["N", "previous place found"], ["f", "follow, or not"], ["g", "begin of the log"], ["G", "end of the log"], ["t", "times"], ["s", "steps"], ["y", "file or log"], ["c", "cancel"], ["r", "run again"]]],
  ["New run", [["Ctrl Enter", "start it"]]],
];

function show_keys() {
  const close = h("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const dialog = h("dialog.keys", { "aria-labelledby": "keys-title", closedby: "any" }, h("h2", { id: "keys-title" }, "Keys"),
    h("div.key-groups", null, KEYS.map(([title, keys]) => h("section", null, h("h3", null, title),
      h("dl", null, keys.map(([key, what]) => h("div", null, h("dt", null, key.split(" ").map((each) => h("kbd", null, each))), h("dd", null, what))))))),
    h("div.dialog-actions", null, close));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
}

document.getElementById("help").addEventListener("click", show_keys);

const common = {
  "?": show_keys,
  h: () => go("#/"),
  q: () => go("#/queue"),
  n: () => go("#/new"),
  d: () => set_theme(is_dark() ? "light" : "dark"),
  Escape: () => { if (location.hash !== "#/" && location.hash !== "") go("#/"); },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable]")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const action = page?.keys[event.key] ?? common[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

/* --- the same on all pages --- */

document.addEventListener("connection", (event) => {
  const sign = document.getElementById("connection");
  sign.hidden = event.detail;
  sign.textContent = event.detail ? "" : "The server does not answer";
});

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

const badge = document.getElementById("waiting");
repeat(async (signal) => {
  const stats = await api.stats(signal);
  const busy = stats.running + stats.pending;
  badge.hidden = !busy;
  badge.textContent = number(busy > 999 ? 999 : busy);
}, () => 5);

window.addEventListener("hashchange", open_page);
load_settings().finally(open_page);
