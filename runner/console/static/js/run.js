/* One run: its shape, its log as it comes, its file. */

import { api, ApiError, repeat } from "./api.js";
import { ask, copy_button, h, set_sign, text, toast } from "./dom.js";
import { ago, bytes, is_final, moment, number, took } from "./format.js";
import { children, Graph, path_of } from "./graph.js";
import { LogView } from "./log.js";
import { colour } from "./yaml.js";

const TAIL = 100000;

function stored(name, otherwise) {
  try {
    return localStorage.getItem(name) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function store(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    /* Then it is forgotten. */
  }
}

export function run_page(main, id, parameters, go) {
  let run = null;
  let source = null;
  let ended = false; /* the stream has said so */
  let failures = 0;
  let last = ""; /* position of what came last */
  let chosen = parameters.get("node") ?? "";
  let tab = parameters.get("view") ?? "log";
  const nodes = new Map(); /* path → [nodes from the stage down to it] */
  const waiting = new Map(); /* path → events that came before the tree */

  /* --- what is to be seen --- */

  const holder = h("span.sign-holder.large");
  const name = h("h1");
  const facts = h("ul.facts");
  const actions = h("div.actions");
  const trouble = h("div.trouble", { hidden: true });
  const graph = new Graph((path) => choose(path === chosen ? "" : path));
  const log = new LogView({
    label: (node) => label_of(node),
    pick: (node) => choose(node === chosen ? "" : node),
    moved: () => update_follow(),
    found: () => { text(found, log.found_text()); },
  });

  const search = h("input", { type: "search", placeholder: "Find in the log", "aria-label": "Find in the log", autocomplete: "off", spellcheck: "false" });
  const found = h("span.found", { role: "status" });
  const follow = h("button.toggle.follow", { type: "button", title: "Follow what comes (f)", onclick: () => log.set_following(!log.following) }, "Follow");
  const times = toggle("Times", "Times of lines (t)", "times");
  const names = toggle("Steps", "Steps of lines (s)", "names");
  const scope = h("button.scope", { type: "button", hidden: true, onclick: () => choose(""), title: "Show the whole log (Esc)" });
  const download = h("details.menu", null, h("summary.button", null, "Save"), h("div", null,
    h("a", { href: api.export_path(id, "text"), download: "" }, "as text"), h("a", { href: api.export_path(id, "json"), download: "" }, "as JSON")));
  const tools = h("div.log-tools", null,
    h("div.search", null, search, h("kbd", null, "/")), found, h("span.spring"), scope, follow, names, times, download);
  const log_panel = h("section.panel.log-panel", { "aria-label": "Log" }, tools, log.element);
  const yaml = h("pre.yaml", { tabindex: "0", role: "region", "aria-label": "Pipeline file" });
  const yaml_panel = h("section.panel.yaml-panel", { hidden: true }, h("div.log-tools", null, h("span.spring")), yaml);
  const tabs = ["log", "file"].map((kind) => h("button.tab", { type: "button", role: "tab", "aria-selected": "false", onclick: () => show_tab(kind) }, kind === "log" ? "Log" : "File"));

  main.replaceChildren(h("section.page.run-page", null,
    h("header.run-head", null, h("div.run-title", null, holder, h("div", null, name, facts)), actions),
    trouble, graph.element,
    h("div.tabs", { role: "tablist" }, tabs), log_panel, yaml_panel));
  log.set_empty("The log is being read …");

  function toggle(word, title, option) {
    const on = stored(`log-${option}`, option === "names" ? "on" : "off") === "on";
    const button = h("button.toggle", { type: "button", title, "aria-pressed": String(on) }, word);
    button.addEventListener("click", () => {
      const now = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(now));
      log.set_option(option, now);
      store(`log-${option}`, now ? "on" : "off");
    });
    log.set_option(option, on);
    return button;
  }

  function label_of(path) {
    const trail = nodes.get(path);
    if (!trail) return { short: path, long: path };
    return { short: trail[trail.length - 1].name || path, long: trail.map((node) => node.name).join(" › ") };
  }

  function update_follow() {
    follow.setAttribute("aria-pressed", String(log.following));
    follow.hidden = ended;
  }

  function address() {
    const out = new URLSearchParams();
    if (chosen) out.set("node", chosen);
    if (tab !== "log") out.set("view", tab);
    const words = out.toString();
    return `#/runs/${id}${words ? `?${words}` : ""}`;
  }

  function show_tab(kind) {
    tab = kind;
    tabs[0].setAttribute("aria-selected", String(kind === "log"));
    tabs[1].setAttribute("aria-selected", String(kind === "file"));
    log_panel.hidden = kind !== "log";
    yaml_panel.hidden = kind !== "file";
    history.replaceState(null, "", address());
    if (kind === "log") log.draw();
  }

  function choose(path) {
    chosen = path;
    if (path && tab !== "log") show_tab("log");
    history.replaceState(null, "", address());
    log.set_node(path);
    scope.hidden = !path;
    scope.replaceChildren(h("span", null, path ? label_of(path).short : ""), "×");
    if (run) graph.update(run, chosen);
  }

  /* --- the run --- */

  function take_tree() {
    nodes.clear();
    const walk = (node, trail) => {
      for (const child of children(node)) {
        const here = [...trail, child];
        nodes.set(path_of(child.id), here);
        walk(child, here);
      }
    };
    walk(run, []);
    for (const [path, event] of waiting) if (take_node(path, event)) waiting.delete(path);
  }

  /* Newer than what was read, or as new. */
  function take_node(path, event) {
    if (!path) {
      Object.assign(run, { status: event.status ?? run.status, started_at: event.started_at ?? run.started_at });
      return true;
    }
    const trail = nodes.get(path);
    if (!trail) return false;
    const node = trail[trail.length - 1];
    if (is_final(node.status) && !is_final(event.status) && !(event.attempt > (node.attempt ?? 1))) return true;
    for (const key of ["status", "reason", "attempt", "started_at", "succeed_at", "failed_at", "cancelled_at", "duration_ms", "exit_code", "error", "message", "name"])
      if (event[key] !== undefined) node[key] = event[key];
    if (event.status === "running") delete node.duration_ms;
    return true;
  }

  function fact(label, value, title) {
    return value ? h("li", title ? { title } : null, label ? h("span", null, label, " ") : null, value) : null;
  }

  function update() {
    const now = Date.now();
    const cancelled_by = run.status === "cancelled" ? run.error : "";
    document.title = `${run.status === "running" ? "● " : ""}${run.name || "Run"} – runner`;
    set_sign(holder, run.status);
    text(name, run.name || "Unnamed run");
    facts.replaceChildren(...[
      h(`li.status.${run.status}`, null, run.status === "pending" && run.position ? `waiting, number ${number(run.position)}` : run.status === "pending" ? "waiting" : run.status,
        run.exit_code > 0 ? h("span", null, ` with status ${run.exit_code}`) : null),
      fact("", took(run, now), "How long it took"),
      fact("", ago(run.submitted_at ?? run.started_at, now), moment(run.submitted_at ?? run.started_at)),
      fact("by", run.client || run.origin),
      run.priority ? fact("priority", String(run.priority)) : null,
      h("li.id", null, h("code", null, run.id), copy_button(run.id, "the id")),
    ].filter(Boolean));
    trouble.hidden = !(run.status === "failed" && run.error) && !cancelled_by;
    text(trouble, run.error);
    graph.element.hidden = !(run.stages?.length);
    graph.update(run, chosen);
    if (!log.lines.all.length && !ended) log.set_empty(run.status === "pending" ? "The run waits for its turn. The log begins when it does." : "Nothing has been written yet.");
  }

  let shown_actions = "";

  /* What somebody has run beside the server can be looked at, and not be run again by it. */
  function was_submitted() {
    return !run.origin || run.origin === "server";
  }

  function update_actions() {
    const kind = is_final(run.status) ? "ended" : "going";
    if (kind === shown_actions) return;
    shown_actions = kind;
    if (kind === "ended")
      actions.replaceChildren(...[
        was_submitted() && h("button", { type: "button", onclick: rerun, title: "The same again (r)" }, "Run again"),
        run.yaml && h("a.button", { href: `#/new?from=${id}` }, "Edit and run"),
        h("button.quiet-danger", { type: "button", onclick: remove }, "Delete")].filter(Boolean));
    else actions.replaceChildren(h("button.danger-outline", { type: "button", onclick: cancel, title: "c" }, "Cancel"));
  }

  /* The list of the server may be behind what the stream has said. */
  function newer(answer) {
    const rank = (status) => (is_final(status) ? 2 : status === "running" ? 1 : 0);
    if (run && rank(run.status) > rank(answer.status)) {
      answer.status = run.status;
      answer.started_at ??= run.started_at;
    }
    return answer;
  }

  async function look(signal) {
    try {
      run = newer(await api.run(id, signal));
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) {
        stop();
        main.replaceChildren(h("section.page", null, h("div.empty", null, h("p", null, "There is no such run."), h("a.button", { href: "#/" }, "All runs"))));
      }
      throw error;
    }
    take_tree();
    update();
    update_actions();
    if (yaml.dataset.of !== run.yaml) {
      yaml.dataset.of = run.yaml ?? "";
      colour(yaml, (run.yaml ?? "The file is not known.").replace(/\n$/, ""));
    }
    if (chosen && scope.hidden) choose(chosen);
  }

  const stop = repeat(look, () => (run && is_final(run.status) && ended ? 3600 : run?.status === "pending" ? 2 : source ? 10 : 2));
  const ticking = setInterval(() => { if (run && !is_final(run.status)) update(); }, 1000);

  /* --- what comes --- */

  let redraw = false;
  let again = 0;

  function soon() {
    if (redraw) return;
    redraw = true;
    setTimeout(() => {
      redraw = false;
      if (run) {
        update();
        update_actions();
      }
    }, 60);
  }

  function on(kind, take) {
    source.addEventListener(kind, (event) => {
      failures = 0;
      last = event.lastEventId || last;
      let data;
      try {
        data = JSON.parse(event.data);
      } catch {
        return;
      }
      take(data);
    });
  }

  function listen() {
    source = api.follow(id, last, TAIL);
    on("stdout", (item) => log.push("stdout", item));
    on("stderr", (item) => log.push("stderr", item));
    on("note", (item) => log.push("note", { ...item, text: item.text.endsWith("\n") ? item.text : `${item.text}\n` }));
    on("missing", (item) => log.push("missing", { node: "", time: Date.now(), text: `${bytes(item.bytes ?? 0)} of the log could not be kept\n` }));
    on("state", take_event);
    on("done", (item) => {
      ended = true;
      source.close();
      if (run) Object.assign(run, { status: item.status ?? run.status, error: item.error || run.error, exit_code: item.exit_code ?? run.exit_code });
      log.set_empty("Nothing was written.");
      update_follow();
      soon();
      stop.soon();
    });
    source.addEventListener("error", () => {
      /* The browser tries again by itself, from where it was, unless it was refused. */
      if (source.readyState !== EventSource.CLOSED || ended) return;
      source = null;
      failures++;
      if (failures > 8) log.set_empty("The log cannot be read.");
      else again = setTimeout(listen, failures * 1000);
    });
  }

  function take_event(event) {
    if (event.event === "RunPlanned" && event.tree) {
      if (run && !run.stages?.length) {
        run.stages = event.tree.stages;
        run.name = run.name || event.name;
        take_tree();
      }
    } else if (event.event === "RunBegan") {
      if (run?.status === "pending") run.status = "running";
    } else if (event.status && typeof event.id === "string") {
      const path = path_of(event.id);
      if (!run || !take_node(path, event)) {
        waiting.set(path, event);
        stop.soon();
      }
    }
    soon();
  }

  /* --- what can be done --- */

  async function attempt(what, done) {
    try {
      const answer = await what();
      if (done) toast(done);
      stop.soon();
      return answer;
    } catch (error) {
      toast(error.message, "bad");
      return null;
    }
  }

  async function cancel() {
    const reason = h("input", { type: "text", id: "reason", maxlength: "500", placeholder: "wrong branch, no longer needed …" });
    const hurry = h("input", { type: "checkbox", id: "hurry" });
    const body = h("div.fields", null, h("label", { for: "reason" }, "Why? ", h("span.hint", null, "may be left empty")), reason,
      run.status === "running" ? h("label.check", { for: "hurry" }, hurry, "Do not wait until steps have cleaned up") : null);
    const answer = await ask(`Cancel ${run.name || "this run"}?`, body, "Cancel the run", () => ({ reason: reason.value.trim(), hurry: hurry.checked }), true);
    if (answer) await attempt(() => api.cancel(id, answer.reason, answer.hurry), "The run has been told to end");
  }

  async function rerun() {
    const answer = await attempt(() => api.rerun(id), "Submitted again");
    if (answer?.id) go(`#/runs/${answer.id}`);
  }

  async function remove() {
    const sure = await ask(`Delete ${run.name || "this run"}?`, h("p", null, "Its log and all that is known of it go. This cannot be undone."), "Delete", () => true, true);
    if (sure && await attempt(() => api.remove(id), "Deleted")) go("#/");
  }

  /* --- looking for something --- */

  let timer = 0;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => log.search(search.value), 120);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      clearTimeout(timer);
      if (log.needle !== search.value.toLowerCase()) log.search(search.value);
      else log.step(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      search.value = "";
      log.search("");
      log.element.focus();
    }
  });

  /* Steps one after the other. */
  function move(by) {
    const steps = [...nodes.keys()].filter((path) => !children(nodes.get(path).at(-1)).length);
    const at = steps.indexOf(chosen);
    const next = at < 0 ? (by > 0 ? 0 : steps.length - 1) : at + by;
    if (steps[next] !== undefined) choose(steps[next]);
  }

  show_tab(tab === "file" ? "file" : "log");
  update_follow();
  listen();

  return {
    title: "Run",
    section: "runs",
    close() {
      stop();
      clearInterval(ticking);
      clearTimeout(timer);
      clearTimeout(again);
      source?.close();
      log.close();
    },
    keys: {
      "/": () => { show_tab("log"); search.focus(); search.select(); },
      n: () => log.step(1),
      N: () => log.step(-1),
      f: () => log.set_following(!log.following),
      t: () => times.click(),
      s: () => names.click(),
      j: () => move(1),
      k: () => move(-1),
      y: () => show_tab(tab === "log" ? "file" : "log"),
      c: () => { if (run && !is_final(run.status)) cancel(); },
      r: () => { if (run && is_final(run.status) && was_submitted()) rerun(); },
      g: () => { log.set_following(false); log.element.scrollTop = 0; log.draw(); },
      G: () => log.set_following(true),
      Escape: () => (chosen ? choose("") : go("#/")),
    },
  };
}
