/* The shape of a run: stages from left to right, their jobs below each other, the steps in them. */

import { h, keyed, set_sign, text } from "./dom.js";
import { duration, is_final, took } from "./format.js";

/* "RUN.0.1" → "0.1" */
export function path_of(id) {
  const at = id.indexOf(".");
  return at < 0 ? "" : id.slice(at + 1);
}

export function children(node) {
  return node.stages ?? node.jobs ?? node.steps ?? [];
}

function node_time(node, now) {
  if (!node.started_at || node.status === "skipped" || node.status === "pending") return "";
  return is_final(node.status) ? duration(node.duration_ms) : took(node, now);
}

export class Graph {
  /* pick(path): a stage, job or step was chosen */
  constructor(pick) {
    this.pick = pick;
    this.chosen = "";
    this.element = h("ol.graph", { "aria-label": "Stages" });
  }

  update(run, chosen) {
    this.chosen = chosen;
    this.run = run;
    keyed(this.element, run.stages ?? [], (stage) => stage.id, () => this.make_stage(), (element, stage) => this.update_stage(element, stage));
  }

  make_head(kind) {
    const head = h(`button.${kind}`, { type: "button" }, h("span.sign-holder"), h("span.name"), h("span.time"));
    head.addEventListener("click", () => this.pick(head.dataset.path));
    return head;
  }

  update_head(head, node, now) {
    const path = path_of(node.id);
    head.dataset.path = path;
    set_sign(head.firstElementChild, node.status);
    text(head.children[1], node.name || "unnamed");
    text(head.children[2], node.attempt > 1 ? `try ${node.attempt} · ${node_time(node, now)}` : node_time(node, now));
    head.title = [node.name, node.host && `on ${node.host}`, node.message ?? node.error].filter(Boolean).join("\n");
    head.setAttribute("aria-pressed", String(path === this.chosen));
    head.setAttribute("aria-label", `${node.level ?? ""} ${node.name}: ${node.status}`);
  }

  make_stage() {
    return h("li.stage", null, this.make_head("stage-head"), h("ol.jobs"));
  }

  update_stage(element, stage) {
    element.dataset.status = stage.status;
    this.update_head(element.firstElementChild, stage, Date.now());
    keyed(element.lastElementChild, stage.jobs ?? [], (job) => job.id, () => h("li.job", null, this.make_head("job-head"), h("ol.steps")), (item, job) => {
      item.dataset.status = job.status;
      this.update_head(item.firstElementChild, job, Date.now());
      keyed(item.lastElementChild, job.steps ?? [], (step) => step.id, () => h("li", null, this.make_head("step")), (row, step) => {
        row.dataset.status = step.status;
        this.update_head(row.firstElementChild, step, Date.now());
      });
    });
  }
}
