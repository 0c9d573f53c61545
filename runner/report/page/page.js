"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const bar = document.querySelector(".bar");
  const search = bar.querySelector("input[type=search]");
  const only = bar.querySelector("input[type=checkbox]");
  const output = bar.querySelector("output");
  const steps = all("details.step");
  const states = new Set();
  let hits = [];
  let at = -1;

  /* Text of the lines in lower case, made when it is first asked for. */
  const texts = new Map();
  const linesOf = (step) => {
    if (!texts.has(step))
      texts.set(step, all(".log > div", step).map((line) => [line, line.textContent.toLowerCase()]));
    return texts.get(step);
  };

  const openUp = (node) => {
    for (let up = node; up; up = up.parentElement)
      if (up.tagName === "DETAILS") up.open = true;
  };

  const matches = (step, wanted) => {
    const log = step.querySelector(".log");
    let found = 0;
    for (const [line, text] of wanted ? linesOf(step) : []) {
      if (!text.includes(wanted)) continue;
      line.classList.add("hit");
      hits.push(line);
      found++;
    }
    if (log) log.classList.toggle("found", found > 0);
    return found > 0 || step.dataset.path.toLowerCase().includes(wanted);
  };

  const apply = () => {
    const wanted = search.value.trim().toLowerCase();
    bar.classList.toggle("searching", wanted !== "");
    for (const line of hits) line.classList.remove("hit", "at");
    hits = [];
    at = -1;
    let shown = 0;
    for (const step of steps) {
      const log = step.querySelector(".log");
      if (log) log.classList.remove("found");
      const before = hits.length;
      const show = (!states.size || states.has(step.dataset.state)) && matches(step, wanted);
      step.hidden = !show;
      shown += show;
      if (show && wanted && hits.length > before) openUp(step);
    }
    for (const group of all("details.job, details.stage").reverse())
      group.hidden = (wanted || states.size) && !group.querySelector("details.step:not([hidden])");
    for (const row of all(".time a")) {
      const node = document.getElementById(row.hash.slice(1));
      row.hidden = Boolean(node && node.closest("[hidden]"));
    }
    output.textContent = wanted
      ? `${hits.length} lines, ${shown} of ${steps.length} steps`
      : states.size ? `${shown} of ${steps.length} steps` : "";
  };

  const go = (by) => {
    if (!hits.length) return;
    if (at >= 0) hits[at].classList.remove("at");
    at = (at + by + hits.length) % hits.length;
    hits[at].classList.add("at");
    openUp(hits[at]);
    hits[at].scrollIntoView({ block: "center" });
    output.textContent = `${at + 1} of ${hits.length} lines`;
  };

  let timer;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(apply, 150);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") go(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") { search.value = ""; apply(); }
  });
  only.addEventListener("change", () => document.body.classList.toggle("only", only.checked));
  for (const button of all("button[data-show]", bar)) {
    button.addEventListener("click", () => {
      const state = button.dataset.show;
      const on = !states.has(state);
      states[on ? "add" : "delete"](state);
      button.setAttribute("aria-pressed", on);
      apply();
    });
  }
  bar.querySelector("[data-fold]").addEventListener("click", (event) => {
    const open = steps.some((step) => !step.hidden && !step.open);
    for (const step of steps) step.open = open && !step.hidden;
    event.target.textContent = open ? "Fold steps" : "Unfold steps";
  });
  bar.querySelector("[data-theme-switch]").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target === search) return;
    event.preventDefault();
    search.focus();
  });

  const follow = () => {
    const node = location.hash && document.getElementById(location.hash.slice(1));
    if (!node) return;
    openUp(node);
    node.scrollIntoView();
  };
  addEventListener("hashchange", follow);
  for (const link of all("a[href^='#']"))
    link.addEventListener("click", () => { if (link.hash === location.hash) follow(); });
  for (const time of all("time"))
    time.textContent = new Date(time.dateTime).toLocaleString();
  bar.hidden = false;
  follow();
})();
