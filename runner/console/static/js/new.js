/* A new run: a file, looked at while it is written, and how it is to be run. */

import { api } from "./api.js";
import { h, text, toast } from "./dom.js";
import { colour } from "./yaml.js";

const EXAMPLE = `name: hello
stages:
- name: greet
  jobs:
  - name: world
    steps:
    - name: say it
      command: |
        echo "Hello, world"
`;
const DRAFT = "draft";

function draft() {
  try {
    return sessionStorage.getItem(DRAFT) || EXAMPLE;
  } catch {
    return EXAMPLE;
  }
}

/* A text area with colours behind its letters, and with marks beside the lines. */
class Editor {
  constructor(changed) {
    this.changed = changed;
    this.marks = new Map(); /* line → diagnostics */
    this.gutter = h("div.gutter", { "aria-hidden": "true" });
    this.back = h("pre.back", { "aria-hidden": "true" });
    this.input = h("textarea", { spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off", "aria-label": "Pipeline file", "aria-describedby": "diagnostics" });
    this.element = h("div.editor", null, this.gutter, h("div.sheet", null, this.back, this.input));
    this.input.addEventListener("input", () => this.show());
    this.input.addEventListener("scroll", () => this.scroll(), { passive: true });
    this.input.addEventListener("keydown", (event) => this.key(event));
  }

  get value() {
    return this.input.value;
  }

  set value(value) {
    this.input.value = value;
    this.show();
  }

  scroll() {
    this.back.style.transform = `translate(${-this.input.scrollLeft}px, ${-this.input.scrollTop}px)`;
    this.gutter.scrollTop = this.input.scrollTop;
  }

  insert(words) {
    /* With this the browser can undo it. */
    if (!document.execCommand("insertText", false, words)) this.input.setRangeText(words, this.input.selectionStart, this.input.selectionEnd, "end");
  }

  key(event) {
    const { selectionStart: start, selectionEnd: end, value } = this.input;
    const line = value.lastIndexOf("\n", start - 1) + 1;
    if (event.key === "Tab" && !event.shiftKey && !this.leaving) {
      event.preventDefault();
      this.insert("  ");
    } else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && start === end) {
      const [indent] = /^[ ]*(?:- )?/.exec(value.slice(line, start));
      const deeper = /:\s*$/.test(value.slice(line, start)) ? "  " : "";
      event.preventDefault();
      this.insert(`\n${" ".repeat(indent.length)}${deeper}`);
    }
    /* Escape, then Tab, leaves: the keyboard is not caught here. */
    this.leaving = event.key === "Escape";
  }

  set_marks(diagnostics) {
    this.marks.clear();
    for (const item of diagnostics) {
      const line = item.line || 1;
      this.marks.set(line, [...(this.marks.get(line) ?? []), item]);
    }
    this.draw_marks();
  }

  draw_marks() {
    [...this.gutter.children].forEach((row, index) => {
      const found = this.marks.get(index + 1);
      const kind = found ? (found.some((item) => item.severity === "error") ? "error" : "warning") : "";
      row.className = kind;
      row.title = found ? found.map((item) => item.message).join("\n") : "";
    });
    [...this.back.children].forEach((row, index) => {
      const found = this.marks.get(index + 1);
      row.className = found ? (found.some((item) => item.severity === "error") ? "error" : "warning") : "";
    });
  }

  go_to(line, column) {
    const lines = this.value.split("\n");
    const at = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0) + Math.max(0, (column || 1) - 1);
    this.input.focus();
    this.input.setSelectionRange(at, at);
    this.input.scrollTop = Math.max(0, (line - 6) * 21);
  }

  show() {
    colour(this.back, this.value);
    const count = this.back.children.length;
    while (this.gutter.children.length < count) this.gutter.append(h("div", null, this.gutter.children.length + 1));
    while (this.gutter.children.length > count) this.gutter.lastChild.remove();
    this.draw_marks();
    this.scroll();
    this.changed();
  }
}

function read_pairs(words, what) {
  const out = {};
  for (const line of words.split("\n").map((each) => each.trim()).filter(Boolean)) {
    const at = line.indexOf("=");
    if (at < 1) throw new Error(`${what}: “${line}” is not NAME=VALUE`);
    out[line.slice(0, at).trim()] = line.slice(at + 1);
  }
  return out;
}

export function new_page(main, parameters, go) {
  let timer = 0;
  let asked = null;
  let valid = false;
  let closed = false;

  const diagnostics = h("ol.diagnostics", { id: "diagnostics", "aria-live": "polite" });
  const verdict = h("p.verdict", { role: "status" });
  const editor = new Editor(() => {
    try {
      sessionStorage.setItem(DRAFT, editor.value);
    } catch {
      /* Then it is not kept. */
    }
    clearTimeout(timer);
    timer = setTimeout(validate, 250);
  });
  const field = (label, id, input, hint) => h("div.field", null, h("label", { for: id }, label), input, hint ? h("p.hint", null, hint) : null);
  const priority = h("input", { type: "number", id: "priority", value: "0", step: "1" });
  const engine = h("input", { type: "text", id: "engine", placeholder: "as the file says", autocomplete: "off", spellcheck: "false" });
  const image = h("input", { type: "text", id: "image", placeholder: "as the file says", autocomplete: "off", spellcheck: "false" });
  const timeout = h("input", { type: "text", id: "timeout", placeholder: "30m", autocomplete: "off", spellcheck: "false" });
  const env = h("textarea", { id: "env", rows: "3", placeholder: "NAME=VALUE", spellcheck: "false" });
  const inputs = h("textarea", { id: "inputs", rows: "2", placeholder: "NAME=VALUE", spellcheck: "false" });
  const file = h("input.visually-hidden", { type: "file", accept: ".yaml,.yml,text/yaml", id: "file", tabindex: "-1" });
  const start = h("button.primary", { type: "submit" }, "Start");
  const form = h("form.new-run", null,
    h("div.editor-side", null, editor.element, verdict, diagnostics),
    h("aside.options", null,
      h("div.start", null, start, h("button", { type: "button", onclick: () => file.click() }, "Open a file"), file, h("kbd", null, "Ctrl Enter")),
      field("Priority", "priority", priority, "Higher ones start before all others."),
      field("Environment", "env", env), field("Inputs", "inputs", inputs),
      field("Engine", "engine", engine), field("Image", "image", image), field("Timeout", "timeout", timeout)));
  main.replaceChildren(h("section.page", null, h("div.page-head", null, h("h1", null, "New run")), form));

  function show(answer) {
    const found = answer.diagnostics ?? [];
    const errors = found.filter((item) => item.severity === "error").length;
    valid = answer.valid;
    editor.set_marks(found);
    verdict.className = `verdict ${valid ? "good" : "bad"}`;
    text(verdict, valid ? (found.length ? "It can run. Some of it is worth a look." : `${answer.name ? `“${answer.name}”` : "This"} can run.`) : errors === 1 ? "One thing is wrong." : `${errors} things are wrong.`);
    diagnostics.replaceChildren(...found.slice(0, 100).map((item) => h("li", null,
      h(`button.${item.severity}`, { type: "button", onclick: () => editor.go_to(item.line || 1, item.column) },
        h("span.where", null, item.line ? `${item.line}:${item.column || 1}` : "file"), h("span.message", null, item.message)))));
  }

  async function validate() {
    asked?.abort();
    asked = new AbortController();
    try {
      const answer = await api.validate(editor.value, asked.signal);
      if (!closed) show(answer);
    } catch (error) {
      if (error.name !== "AbortError" && !closed) {
        verdict.className = "verdict";
        text(verdict, error.message);
      }
    }
  }

  async function submit() {
    start.disabled = true;
    try {
      const answer = await api.submit({
        config: editor.value, priority: Number(priority.value) || 0, engine: engine.value.trim() || undefined,
        image: image.value.trim() || undefined, timeout: timeout.value.trim() || undefined,
        env: read_pairs(env.value, "Environment"), inputs: read_pairs(inputs.value, "Inputs"),
      });
      go(`#/runs/${answer.id}`);
    } catch (error) {
      if (error.diagnostics) show({ valid: false, diagnostics: error.diagnostics });
      toast(error.message, "bad");
    }
    start.disabled = false;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      submit();
    }
  });
  file.addEventListener("change", async () => {
    if (file.files[0]) editor.value = await file.files[0].text();
    file.value = "";
  });
  editor.element.addEventListener("dragover", (event) => event.preventDefault());
  editor.element.addEventListener("drop", async (event) => {
    if (!event.dataTransfer.files[0]) return;
    event.preventDefault();
    editor.value = await event.dataTransfer.files[0].text();
  });

  editor.value = draft();
  const from = parameters.get("from");
  if (from)
    api.run(from).then((run) => {
      if (!closed && run.yaml) editor.value = run.yaml;
    }, (error) => toast(error.message, "bad"));

  return {
    title: "New run",
    section: "",
    close() {
      closed = true;
      clearTimeout(timer);
      asked?.abort();
    },
    keys: { "/": () => editor.input.focus(), n: () => editor.input.focus(), e: () => editor.input.focus() },
  };
}
