/* The log of a run, as it comes. Only the lines that are to be seen are elements, so that 100,000
 * of them scroll as ten do. */

import { parse_line, paint } from "./ansi.js";
import { h } from "./dom.js";
import { clock, number } from "./format.js";

const LINE = 20; /* pixels, as in app.css */
const AROUND = 24; /* lines above and below what is to be seen */
const KEEP = 200000; /* lines; older ones go */
const DROP = 20000;

/* All lines, and of those the ones that are shown. */
export class Lines {
  constructor() {
    this.all = [];
    this.first = 0; /* the number of all[0] */
    this.node = "";
    this.shown = this.all;
    this.open = new Map(); /* node and stream → the line that goes on */
    this.states = new Map(); /* node and stream → colours that go on */
  }

  is_of_node(line) {
    return !this.node || line.node === this.node || line.node.startsWith(`${this.node}.`);
  }

  set_node(node) {
    this.node = node;
    this.shown = node ? this.all.filter((line) => this.is_of_node(line)) : this.all;
  }

  parse(line, key) {
    const parsed = parse_line(line.raw, line.before);
    line.plain = parsed.plain;
    line.parts = parsed.parts;
    if (parsed.state) this.states.set(key, parsed.state);
    else this.states.delete(key);
  }

  add_line(key, stream, node, time, raw) {
    const line = { number: this.first + this.all.length + 1, stream, node, time, raw, before: this.states.get(key) ?? null, plain: "", parts: null };
    this.parse(line, key);
    this.all.push(line);
    if (this.shown !== this.all && this.is_of_node(line)) this.shown.push(line);
    return line;
  }

  /* One item of the stream: lines, the last of which may go on. */
  add(stream, item) {
    const node = item.node ?? "";
    const time = typeof item.time === "number" ? item.time : Date.parse(item.time);
    const key = `${node} ${stream}`;
    const pieces = item.text.split("\n");
    const ended = pieces[pieces.length - 1] === "";
    if (ended) pieces.pop();
    let open = this.open.get(key);
    for (const piece of pieces) {
      if (open) {
        open.raw += piece;
        this.parse(open, key);
      } else open = this.add_line(key, stream, node, time, piece);
      this.open.delete(key);
      if (piece === pieces[pieces.length - 1] && !ended) break;
      open = null;
    }
    if (!ended && open) this.open.set(key, open);
  }

  note(kind, node, time, message) {
    this.all.push({ number: this.first + this.all.length + 1, stream: kind, node, time, raw: message, before: null, plain: message, parts: null });
    const line = this.all[this.all.length - 1];
    if (this.shown !== this.all && this.is_of_node(line)) this.shown.push(line);
  }

  /* From here on lines may change: an index in those that are shown. */
  first_open() {
    let lowest = Infinity;
    for (const line of this.open.values()) lowest = Math.min(lowest, line.number);
    let from = 0;
    let to = this.shown.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.shown[middle].number < lowest) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /* Drops the oldest when there are too many; returns how many of those that are shown. */
  trim() {
    if (this.all.length <= KEEP) return 0;
    const gone = this.all.splice(0, this.all.length - KEEP + DROP);
    this.first += gone.length;
    if (this.shown === this.all) return gone.length;
    const before = this.shown.length;
    this.set_node(this.node);
    return before - this.shown.length;
  }
}

function same_search(line, needle) {
  return line.plain.toLowerCase().includes(needle);
}

/* The text of a line, with its colours and with what was looked for marked. */
function fill_text(element, line, needle) {
  const parts = line.parts ?? [[line.plain, null]];
  const plain = needle ? line.plain.toLowerCase() : "";
  let at = 0;
  let next = needle ? plain.indexOf(needle) : -1;
  for (const [text, state] of parts) {
    let from = 0;
    while (from < text.length) {
      const here = at + from;
      const inside = next >= 0 && here >= next && here < next + needle.length;
      let to = text.length;
      if (inside) to = Math.min(to, next + needle.length - at);
      else if (next >= 0 && next > here) to = Math.min(to, next - at);
      const piece = text.slice(from, to);
      if (inside || state) {
        const span = document.createElement(inside ? "mark" : "span");
        span.textContent = piece;
        if (state) paint(span, state);
        element.append(span);
      } else element.append(piece);
      from = to;
      if (next >= 0 && at + from >= next + needle.length) next = plain.indexOf(needle, next + needle.length);
    }
    at += text.length;
  }
}

export class LogView {
  /* `options`: label(node) → {short, long}, pick(node), moved() when following begins or ends */
  constructor(options) {
    this.options = options;
    this.lines = new Lines();
    this.rows = new Map(); /* index in shown → element */
    this.needle = "";
    this.found = []; /* indices in shown */
    this.at = -1; /* in found */
    this.following = true;
    this.space = h("div.log-space");
    this.empty = h("div.log-empty", null, "");
    this.element = h("div.log", { tabindex: "0", role: "region", "aria-label": "Log" }, this.empty, this.space);
    this.element.addEventListener("scroll", () => this.on_scroll(), { passive: true });
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.element);
    this.later = false;
    this.queue = [];
  }

  close() {
    this.resized.disconnect();
  }

  /* What comes is taken over once a frame, however much it is. */
  push(stream, item) {
    this.queue.push([stream, item]);
    if (this.later) return;
    this.later = true;
    const take = () => this.take();
    if (document.hidden) setTimeout(take, 200);
    else requestAnimationFrame(take);
  }

  take() {
    this.later = false;
    const changed = this.lines.first_open();
    for (const [stream, item] of this.queue) this.lines.add(stream, item);
    this.queue = [];
    const gone = this.lines.trim();
    if (gone) {
      this.clear_rows();
      this.search(this.needle, true);
      if (!this.following) this.element.scrollTop -= gone * LINE;
    } else {
      /* A line that went on looks otherwise now. */
      for (const [index, row] of this.rows) {
        if (row.line.raw !== row.raw) {
          row.remove();
          this.rows.delete(index);
        }
      }
      this.find_from(changed);
    }
    this.draw();
  }

  clear_rows() {
    for (const row of this.rows.values()) row.remove();
    this.rows.clear();
  }

  note(kind, node, time, message) {
    this.lines.note(kind, node, time, message);
    this.draw();
  }

  set_empty(message) {
    this.empty.textContent = message;
    this.draw();
  }

  set_node(node) {
    if (this.lines.node === node) return;
    const top = this.lines.shown[Math.floor(this.element.scrollTop / LINE)];
    this.lines.set_node(node);
    this.clear_rows();
    this.search(this.needle, true);
    this.space.style.height = `${this.lines.shown.length * LINE}px`;
    /* Back among all lines: what was read stays where it is. */
    if (!this.following && top && !node) this.show_index(this.lines.shown.indexOf(top), true);
    else if (!this.following) this.element.scrollTop = 0;
    this.draw();
  }

  set_option(name, on) {
    this.element.classList.toggle(name, on);
  }

  /* --- following --- */

  set_following(on) {
    if (this.following === on) return;
    this.following = on;
    this.options.moved();
    if (on) this.draw();
  }

  on_scroll() {
    const below = this.element.scrollHeight - this.element.clientHeight - this.element.scrollTop;
    const up = this.element.scrollTop < (this.top ?? 0) - 1;
    this.top = this.element.scrollTop;
    if (below < LINE) this.set_following(true);
    else if (up) this.set_following(false);
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.draw();
    });
  }

  show_index(index, centred) {
    if (index < 0) return;
    const top = index * LINE;
    const height = this.element.clientHeight;
    if (centred || top < this.element.scrollTop + LINE || top > this.element.scrollTop + height - 3 * LINE) {
      this.set_following(false);
      this.element.scrollTop = Math.max(0, top - height / 3);
    }
    this.draw();
  }

  /* --- looking for something --- */

  find_from(index) {
    if (!this.needle) return;
    const { shown } = this.lines;
    while (this.found.length && this.found[this.found.length - 1] >= index) this.found.pop();
    for (let i = index; i < shown.length; i++) if (same_search(shown[i], this.needle)) this.found.push(i);
    this.options.found?.();
  }

  search(words, keep_place) {
    this.needle = words.toLowerCase();
    this.found = [];
    this.at = -1;
    this.clear_rows();
    this.find_from(0);
    if (this.needle && this.found.length && !keep_place) {
      const from = Math.floor(this.element.scrollTop / LINE);
      const next = this.found.findIndex((index) => index >= from);
      this.go_to(next < 0 ? 0 : next);
    } else this.draw();
    this.options.found?.();
  }

  go_to(at) {
    this.at = at;
    this.show_index(this.found[at], false);
    this.options.found?.();
  }

  step(by) {
    if (!this.found.length) return;
    const from = this.at < 0 ? (by > 0 ? -1 : 0) : this.at;
    this.go_to((from + by + this.found.length) % this.found.length);
  }

  found_text() {
    if (!this.needle) return "";
    if (!this.found.length) return "Nothing found";
    return `${this.at < 0 ? "–" : number(this.at + 1)} of ${number(this.found.length)}`;
  }

  /* --- elements --- */

  make_who(line) {
    const label = this.options.label(line.node);
    return h("button.who", { title: label.long, tabindex: "-1", onclick: () => this.options.pick(line.node) }, label.short);
  }

  /* The line at the top says whose it is, although that was said further up. */
  name_top(index) {
    const row = this.rows.get(index);
    if (this.named === row) return;
    if (this.named?.isConnected && !this.named.classList.contains("begins")) this.named.children[2].replaceWith(h("span.who"));
    this.named = row;
    if (row?.line.node && !row.classList.contains("begins")) row.children[2].replaceWith(this.make_who(row.line));
  }

  make_row(index) {
    const line = this.lines.shown[index];
    const before = this.lines.shown[index - 1];
    const text = h("span.txt");
    const row = h(`div.line.${line.stream}`, null, h("span.no", null, line.number), h("span.at", null, clock(line.time)));
    const begins = line.node && (!before || before.node !== line.node);
    row.classList.toggle("begins", Boolean(begins));
    row.append(begins ? this.make_who(line) : h("span.who"));
    fill_text(text, line, this.needle);
    row.append(text);
    row.style.transform = `translateY(${index * LINE}px)`;
    row.line = line;
    row.raw = line.raw;
    return row;
  }

  draw() {
    const { shown } = this.lines;
    const height = `${shown.length * LINE}px`;
    if (this.space.style.height !== height) this.space.style.height = height;
    this.empty.hidden = shown.length > 0;
    if (this.following) {
      this.element.scrollTop = this.element.scrollHeight;
      this.top = this.element.scrollTop;
    }
    const first = Math.max(0, Math.floor(this.element.scrollTop / LINE) - AROUND);
    const last = Math.min(shown.length, Math.ceil((this.element.scrollTop + this.element.clientHeight) / LINE) + AROUND);
    for (const [index, row] of this.rows) {
      if (index >= first && index < last) continue;
      row.remove();
      this.rows.delete(index);
    }
    const digits = String(this.lines.first + this.lines.all.length).length;
    if (this.digits !== digits) {
      this.digits = digits;
      this.element.style.setProperty("--digits", Math.max(3, digits));
    }
    const current = this.at >= 0 ? this.found[this.at] : -1;
    let next = this.space.firstElementChild;
    for (let i = first; i < last; i++) {
      let row = this.rows.get(i);
      if (!row) {
        row = this.make_row(i);
        this.rows.set(i, row);
        this.space.insertBefore(row, next);
      } else next = row.nextElementSibling;
      row.classList.toggle("current", i === current);
    }
    this.name_top(Math.ceil(this.element.scrollTop / LINE));
  }
}
