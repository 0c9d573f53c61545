/* What runs and what waits, and how it has gone. */

import { api, repeat } from "./api.js";
import { ask, h, keyed, set_sign, text, toast } from "./dom.js";
import { ago, moment, number, took } from "./format.js";
import { seconds_between } from "./settings.js";

export function queue_page(main) {
  let items = [];
  const places = h("div.places", { role: "img" });
  const places_text = h("p.places-text");
  const tiles = ["waiting", "succeeded", "failed", "cancelled"].map((kind) => h(`a.tile.${kind}`, { href: `#/?status=${kind === "waiting" ? "pending" : kind}` }, h("strong", null, "–"), h("span", null, kind)));
  const list = h("ol.runs.queue", { "aria-label": "Queue" });
  const empty = h("div.empty", { hidden: true }, h("p", null, "Nothing runs, and nothing waits."), h("a.button.primary", { href: "#/new" }, "New run"));

  main.replaceChildren(h("section.page", null, h("div.page-head", null, h("h1", null, "Queue")),
    h("div.numbers", null, h("div.tile.wide", null, places_text, places), tiles), list, empty));

  async function cancel(run) {
    const sure = await ask(`Cancel ${run.name || "this run"}?`, h("p", null, run.status === "running" ? "It is told to end, and cleans up." : "It has not begun, and will not."), "Cancel the run", () => true, true);
    if (!sure) return;
    try {
      await api.cancel(run.id);
      toast("Cancelled");
    } catch (error) {
      toast(error.message, "bad");
    }
    stop.soon();
  }

  function make_row() {
    const row = h("li.with-action", null, h("a.run", null, h("span.sign-holder"), h("span.what", null, h("span.name"), h("span.error")), h("span.client"), h("span.when"), h("span.took"), h("code.id")),
      h("button.quiet-danger", { type: "button" }, "Cancel"));
    row.lastElementChild.addEventListener("click", () => cancel(row.run));
    return row;
  }

  function update_row(row, run, now) {
    const [holder, what, client, when, time, id] = row.firstElementChild.children;
    row.run = run;
    row.firstElementChild.href = `#/runs/${run.id}`;
    set_sign(holder, run.status);
    text(what.children[0], run.name || "Unnamed run");
    text(what.children[1], run.position ? `number ${number(run.position)}${run.priority ? `, priority ${run.priority}` : ""}` : run.priority ? `priority ${run.priority}` : "");
    text(client, run.client);
    text(when, ago(run.submitted_at ?? run.created_at, now));
    when.title = moment(run.submitted_at ?? run.created_at);
    text(time, run.status === "running" ? took(run, now) : "");
    text(id, run.id.slice(-6));
    row.lastElementChild.setAttribute("aria-label", `Cancel ${run.name || run.id}`);
  }

  function show() {
    const now = Date.now();
    keyed(list, items, (run) => run.id, make_row, (row, run) => update_row(row, run, now));
  }

  async function look(signal) {
    const [queue, stats] = await Promise.all([api.queue(signal), api.stats(signal)]);
    items = queue.data.filter((run) => run.status === "running" || run.status === "pending");
    show();
    empty.hidden = items.length > 0;
    const { max_concurrent: most, current_concurrent: now } = stats;
    text(places_text, `${number(now)} of ${number(most)} places taken`);
    places.setAttribute("aria-label", places_text.textContent);
    const shown = Math.min(most, 60);
    if (places.children.length !== shown) places.replaceChildren(...Array.from({ length: shown }, () => h("i")));
    [...places.children].forEach((place, index) => place.classList.toggle("taken", index < (now / most) * shown));
    const counts = [stats.pending, stats.succeeded, stats.failed, stats.cancelled];
    tiles.forEach((tile, index) => text(tile.firstElementChild, number(counts[index] ?? 0)));
  }

  const stop = repeat(look, seconds_between);
  const ticking = setInterval(show, 1000);

  function move(by) {
    const links = [...list.querySelectorAll("a")];
    links[Math.min(links.length - 1, Math.max(0, links.indexOf(document.activeElement) + by))]?.focus();
  }

  return {
    title: "Queue",
    section: "queue",
    close() {
      stop();
      clearInterval(ticking);
    },
    keys: { j: () => move(1), k: () => move(-1) },
  };
}
