/* Elements, and nothing more: no text of a server ever becomes markup. */

const SVG = "http://www.w3.org/2000/svg";

function add(element, child) {
  if (child === null || child === undefined || child === false) return;
  if (Array.isArray(child)) for (const each of child) add(element, each);
  else element.append(child instanceof Node ? child : String(child));
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name in element && typeof value === "boolean") element[name] = value;
  else element.setAttribute(name, value === true ? "" : value);
}

/* h("a.button.primary", {href: "#/"}, "text", child, [more]) */
export function h(what, attributes, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes ?? {})) set(element, name, value);
  add(element, children);
  return element;
}

export function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes ?? {})) element.setAttribute(name, value);
  add(element, children);
  return element;
}

/* Changes text only if it is another, so that a selection in it survives. */
export function text(element, value) {
  const wanted = value === null || value === undefined ? "" : String(value);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/* Makes the children of `parent` those of `items`, each of which keeps its element. */
export function keyed(parent, items, key, make, update) {
  const known = new Map();
  for (const child of parent.children) known.set(child.dataset.key, child);
  let at = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let element = known.get(name);
    if (element) known.delete(name);
    else {
      element = make(item);
      element.dataset.key = name;
    }
    if (element === at) at = at.nextElementSibling;
    else parent.insertBefore(element, at);
    update(element, item);
  }
  for (const element of known.values()) element.remove();
}

const paths = {
  succeeded: "M4.5 8.4 7 10.8l4.6-5.2",
  failed: "m5.4 5.4 5.2 5.2m0-5.2-5.2 5.2",
  cancelled: "M5 8h6",
  skipped: "m5.2 5.4 2.6 2.6-2.6 2.6m3.4-5.2 2.6 2.6-2.6 2.6",
};

/* A state as a small round sign. */
export function sign(status) {
  const icon = svg("svg", { viewBox: "0 0 16 16", class: `sign ${status}`, role: "img", "aria-label": status });
  if (status === "running") {
    icon.append(svg("circle", { cx: 8, cy: 8, r: 6.2, class: "track" }),
      svg("path", { d: "M8 1.8a6.2 6.2 0 0 1 6.2 6.2", class: "turn" }));
  } else if (paths[status]) {
    icon.append(svg("circle", { cx: 8, cy: 8, r: 7, class: "disc" }), svg("path", { d: paths[status], class: "mark" }));
  } else {
    icon.append(svg("circle", { cx: 8, cy: 8, r: 6.2, class: "track" }));
  }
  return icon;
}

export function set_sign(holder, status) {
  if (holder.dataset.status === status) return;
  holder.dataset.status = status;
  holder.replaceChildren(sign(status));
}

export function toast(message, kind) {
  const element = h(`div.toast.${kind || "plain"}`, null, h("span", null, message),
    h("button.quiet", { "aria-label": "Dismiss", onclick: () => element.remove() }, "×"));
  document.getElementById("toasts").append(element);
  setTimeout(() => element.remove(), kind === "bad" ? 12000 : 5000);
}

/* Asks something in a dialog; resolves to what `read` makes of it, or to null. */
export function ask(title, body, action, read, danger) {
  return new Promise((resolve) => {
    let result = null;
    const form = h("form", { method: "dialog" }, h("h2", { id: "ask-title" }, title), body,
      h("div.dialog-actions", null,
        h("button", { type: "button", onclick: () => dialog.close() }, "Back"),
        h(`button.${danger ? "danger" : "primary"}`, { type: "submit" }, action)));
    const dialog = h("dialog", { "aria-labelledby": "ask-title", closedby: "any" }, form);
    form.addEventListener("submit", () => { result = read(); });
    dialog.addEventListener("close", () => { dialog.remove(); resolve(result); });
    document.body.append(dialog);
    dialog.showModal();
    form.querySelector("input, textarea, button[type=submit]")?.focus();
  });
}

export function copy_button(what, label) {
  return h("button.quiet.copy", {
    title: `Copy ${label}`, "aria-label": `Copy ${label}`, onclick: async (event) => {
      event.stopPropagation();
      try {
        await navigator.clipboard.writeText(what);
        toast(`Copied ${label}`);
      } catch {
        toast("The browser does not let the page copy", "bad");
      }
    },
  }, svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" },
    svg("path", { d: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z", fill: "none", stroke: "currentColor", "stroke-width": "1.3", "stroke-linejoin": "round" })));
}
