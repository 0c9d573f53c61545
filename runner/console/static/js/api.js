/* The server's REST interface. */

const BASE = "/api/v1";

export class ApiError extends Error {
  constructor(status, message, diagnostics) {
    super(message);
    this.status = status;
    this.diagnostics = diagnostics;
  }
}

let online = true;

/* Tells who listens when the server stops answering, and when it does again. */
function set_online(now) {
  if (now === online) return;
  online = now;
  document.dispatchEvent(new CustomEvent("connection", { detail: now }));
}

async function call(method, path, body, signal) {
  let response;
  try {
    response = await fetch(BASE + path, {
      method, signal, headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name !== "AbortError") set_online(false);
    throw error.name === "AbortError" ? error : new ApiError(0, "The server does not answer");
  }
  set_online(true);
  let answer = null;
  try {
    answer = await response.json();
  } catch {
    /* What has no body. */
  }
  if (!response.ok)
    throw new ApiError(response.status, answer?.error ?? `The server answered ${response.status}`, answer?.diagnostics);
  return answer;
}

function query(parameters) {
  const out = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    if (value !== "" && value !== undefined && value !== null) out.set(name, value);
  const text = out.toString();
  return text ? `?${text}` : "";
}

const id_path = (id) => `/pipelines/${encodeURIComponent(id)}`;

export const api = {
  about: async () => (await fetch("/")).json(),
  runs: (parameters, signal) => call("GET", `/pipelines${query(parameters)}`, undefined, signal),
  run: (id, signal) => call("GET", id_path(id), undefined, signal),
  cancel: (id, reason, hurry) => call("POST", `${id_path(id)}/cancel`, { reason: reason || undefined, hurry: hurry || undefined }),
  rerun: (id) => call("POST", `${id_path(id)}/rerun`, {}),
  remove: (id) => call("DELETE", id_path(id)),
  submit: (body) => call("POST", "/pipelines/run", { ...body, detach: true }),
  validate: (config, signal) => call("POST", "/pipelines/validate", { config }, signal),
  queue: (signal) => call("GET", "/queue", undefined, signal),
  stats: (signal) => call("GET", "/queue/stats", undefined, signal),
  settings: () => call("GET", "/settings"),
  set_settings: (values) => call("POST", "/settings", values),
  export_path: (id, format) => `${BASE}${id_path(id)}/logs/export?format=${format}`,
  follow: (id, position, tail) => new EventSource(`${BASE}${id_path(id)}/logs?follow=1&${position ? `position=${position}` : `tail=${tail}`}`),
};

/* Calls `look` now, and again `seconds()` after it has ended, while the page is to be seen. Returns
 * what ends it; `soon` on that looks at once. */
export function repeat(look, seconds) {
  const controller = new AbortController();
  let timer = 0;
  let busy = false;
  let again = false;

  async function go() {
    clearTimeout(timer);
    again = busy;
    if (busy || controller.signal.aborted || document.hidden) return;
    busy = true;
    try {
      await look(controller.signal);
    } catch {
      /* Shown by who looks, or by the sign of the connection. */
    }
    busy = false;
    if (again) go();
    else if (!controller.signal.aborted) timer = setTimeout(go, seconds() * 1000);
  }

  document.addEventListener("visibilitychange", go, { signal: controller.signal });
  go();
  const stop = () => {
    clearTimeout(timer);
    controller.abort();
  };
  stop.soon = go;
  return stop;
}
