/* All runs: to be searched, filtered and paged through. */

import { api, repeat } from "./api.js";
import { h, keyed, set_sign, text } from "./dom.js";
import { ago, moment, number, took } from "./format.js";
import { seconds_between } from "./settings.js";

const PAGE = 50;
const STATES = ["running", "pending", "succeeded", "failed", "cancelled"];

function make_row() {
  const link = h("a.run", null, h("span.sign-holder"),
    h("span.what", null, h("span.name"), h("span.error")),
    h("span.client"), h("span.when"), h("span.took"), h("code.id"));
  return h("li", null, link);
}

function update_row(row, run, now) {
  const link = row.firstElementChild;
  const [holder, what, client, when, time, id] = link.children;
  link.href = `#/runs/${run.id}`;
  set_sign(holder, run.status);
  text(what.children[0], run.name || "Unnamed run");
  text(what.children[1], run.status === "pending" && run.position ? `number ${number(run.position)} in the queue` : run.status === "failed" || run.status === "cancelled" ? run.error : "");
  text(client, run.client || run.origin || "");
  text(when, ago(run.submitted_at ?? run.started_at, now));
  when.title = moment(run.submitted_at ?? run.started_at);
  text(time, took(run, now));
  text(id, run.id.slice(-6));
  id.title = run.id;
  link.setAttribute("aria-label", `${run.name || "Unnamed run"}, ${run.status}, ${when.textContent}`);
}

export function runs_page(main, parameters, go) {
  const state = {
    search: parameters.get("search") ?? "", status: new Set((parameters.get("status") ?? "").split(",").filter(Boolean)),
    offset: Number(parameters.get("offset")) || 0, data: [], total: 0, loaded: false,
  };
  const search = h("input", { type: "search", placeholder: "Search by name or id", "aria-label": "Search by name or id", value: state.search, autocomplete: "off", spellcheck: "false" });
  const chips = STATES.map((status) => h("button.chip", {
    type: "button", "aria-pressed": String(state.status.has(status)), onclick: () => {
      if (!state.status.delete(status)) state.status.add(status);
      chips[STATES.indexOf(status)].setAttribute("aria-pressed", String(state.status.has(status)));
      changed();
    },
  }, status === "pending" ? "waiting" : status));
  const list = h("ol.runs", { "aria-label": "Runs" });
  const empty = h("div.empty", { hidden: true });
  const range = h("span.range");
  const previous = h("button", { type: "button", onclick: () => page(-1), "aria-label": "Newer" }, "Newer");
  const next = h("button", { type: "button", onclick: () => page(1), "aria-label": "Older" }, "Older");
  let timer = 0;

  main.replaceChildren(h("section.page", null,
    h("div.page-head", null, h("h1", null, "Runs"), h("div.filters", null, h("div.search", null, search, h("kbd", null, "/")), h("div.chips", { role: "group", "aria-label": "States" }, chips))),
    list, empty, h("div.pager", null, range, previous, next)));

  function address() {
    const out = new URLSearchParams();
    if (state.search) out.set("search", state.search);
    if (state.status.size) out.set("status", [...state.status].join(","));
    if (state.offset) out.set("offset", state.offset);
    const words = out.toString();
    return words ? `#/?${words}` : "#/";
  }

  function changed() {
    state.offset = 0;
    history.replaceState(null, "", address());
    stop.soon();
  }

  function page(by) {
    state.offset = Math.max(0, state.offset + by * PAGE);
    history.replaceState(null, "", address());
    stop.soon();
    main.scrollTop = 0;
    window.scrollTo(0, 0);
  }

  function show() {
    const now = Date.now();
    keyed(list, state.data, (run) => run.id, make_row, (row, run) => update_row(row, run, now));
    const last = Math.min(state.offset + state.data.length, state.total);
    text(range, state.total ? `${number(state.offset + 1)}–${number(last)} of ${number(state.total)}` : "");
    previous.disabled = state.offset === 0;
    next.disabled = last >= state.total;
    previous.hidden = next.hidden = state.total <= PAGE && !state.offset;
    empty.hidden = !state.loaded || state.data.length > 0;
    if (!empty.hidden) {
      const filtered = state.search || state.status.size;
      empty.replaceChildren(h("p", null, filtered ? "No run is like that." : "Nothing has run yet."),
        filtered ? h("button", { type: "button", onclick: clear }, "Show all runs") : h("a.button.primary", { href: "#/new" }, "Start the first run"));
    }
  }

  function clear() {
    state.search = search.value = "";
    state.status.clear();
    for (const chip of chips) chip.setAttribute("aria-pressed", "false");
    changed();
  }

  async function look(signal) {
    const asked = address();
    const answer = await api.runs({ search: state.search, status: [...state.status].join(","), limit: PAGE, offset: state.offset }, signal);
    if (asked !== address()) return stop.soon();
    state.data = answer.data;
    state.total = answer.total;
    state.loaded = true;
    show();
  }

  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      state.search = search.value.trim();
      changed();
    }, 150);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "Enter") return;
    event.preventDefault();
    list.querySelector("a")?.focus();
  });

  const stop = repeat(look, seconds_between);
  const ticking = setInterval(show, 1000);

  function move(by) {
    const links = [...list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    const target = links[Math.min(links.length - 1, Math.max(0, at + by))];
    target?.focus();
  }

  return {
    title: "Runs",
    section: "runs",
    close() {
      stop();
      clearInterval(ticking);
      clearTimeout(timer);
    },
    keys: {
      "/": () => { search.focus(); search.select(); },
      j: () => move(1),
      k: () => move(-1),
      o: () => document.activeElement.closest?.("a.run")?.click(),
      "[": () => previous.disabled || page(-1),
      "]": () => next.disabled || page(1),
      Escape: () => { if (state.search || state.status.size) clear(); },
      n: () => go("#/new"),
    },
  };
}
