/* What can be changed while the server runs, and what is of this browser alone. */

import { api } from "./api.js";
import { h, toast } from "./dom.js";

let interval = 2;

/* How often pages look at the server. */
export function seconds_between() {
  return interval;
}

export async function load_settings() {
  try {
    const settings = await api.settings();
    if (settings.refresh_interval >= 1) interval = settings.refresh_interval;
  } catch {
    /* What it is without. */
  }
}

const FIELDS = {
  max_concurrent: ["Runs at a time", "Others wait for their turn.", 1],
  max_records: ["Runs that are kept", "The oldest go when there are more. 0: all are kept.", 0],
  refresh_interval: ["Seconds between two looks", "How often lists in this console are read again. Logs come as they are written.", 1],
};

function theme_choice() {
  const now = document.documentElement.dataset.theme ?? "";
  const make = (value, word) => h("label", null,
    h("input", { type: "radio", name: "theme", value, checked: now === value, onchange: () => document.dispatchEvent(new CustomEvent("theme", { detail: value })) }), h("span", null, word));
  return h("fieldset.segments", null, h("legend", null, "Theme"), make("", "As the system"), make("light", "Light"), make("dark", "Dark"));
}

export function settings_page(main) {
  const form = h("form.settings");
  const about = h("p.about");
  main.replaceChildren(h("section.page.narrow", null, h("div.page-head", null, h("h1", null, "Settings")),
    h("section.card", null, h("h2", null, "Server"), form), h("section.card", null, h("h2", null, "This browser"), theme_choice()), about));

  function show(settings) {
    const inputs = Object.entries(FIELDS).filter(([name]) => name in settings).map(([name, [label, hint, least]]) => {
      const input = h("input", { type: "number", id: name, name, min: String(least), step: "1", required: true, value: String(settings[name]), "aria-describedby": `${name}-hint` });
      return h("div.field", null, h("label", { for: name }, label), input, h("p.hint", { id: `${name}-hint` }, hint));
    });
    form.replaceChildren(...inputs, h("div.actions", null, h("button.primary", { type: "submit" }, "Save")));
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const values = {};
    for (const input of form.querySelectorAll("input")) values[input.name] = Number(input.value);
    try {
      show((await api.set_settings(values))?.settings ?? values);
      interval = Math.max(1, values.refresh_interval ?? interval);
      toast("Saved", "good");
    } catch (error) {
      toast(error.message, "bad");
    }
  });

  api.settings().then(show, (error) => form.replaceChildren(h("p.hint", null, error.message)));
  api.about().then((answer) => about.replaceChildren(`runner ${answer.version ?? ""} · `, h("a", { href: "/openapi.json" }, "REST interface")), () => {});
  return { title: "Settings", section: "settings", close() {}, keys: {} };
}
