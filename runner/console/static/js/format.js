/* Times and durations for people. */

export function duration(ms) {
  if (!(ms >= 0)) return "";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${String(Math.floor(seconds % 60)).padStart(2, "0")}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours}h ${String(minutes % 60).padStart(2, "0")}m`;
  return `${Math.floor(hours / 24)} days`;
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

export function ago(time, now) {
  if (!time) return "";
  const seconds = Math.round((Date.parse(time) - now) / 1000);
  const past = -seconds;
  if (past < 5) return "just now";
  if (past < 60) return relative.format(seconds, "second");
  if (past < 3600) return relative.format(-Math.floor(past / 60), "minute");
  if (past < 86400) return relative.format(-Math.floor(past / 3600), "hour");
  if (past < 86400 * 14) return relative.format(-Math.floor(past / 86400), "day");
  return new Date(time).toLocaleDateString("en", { year: "numeric", month: "short", day: "numeric" });
}

export function moment(time) {
  if (!time) return "";
  return new Date(time).toLocaleString("en", { dateStyle: "medium", timeStyle: "medium" });
}

function two(number) {
  return number < 10 ? `0${number}` : String(number);
}

export function clock(ms) {
  const date = new Date(ms);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB"];
  let at = 0;
  while (count >= 1000 && at < units.length - 1) {
    count /= 1000;
    at++;
  }
  return `${at && count < 10 ? count.toFixed(1) : Math.round(count)} ${units[at]}`;
}

export function number(count) {
  return count.toLocaleString("en");
}

/* How long something took, or has taken up to now. */
export function took(run, now) {
  const start = Date.parse(run.started_at);
  if (!start) return "";
  if (run.duration_ms !== undefined && is_final(run.status)) return duration(run.duration_ms);
  const end = Date.parse(run.ended_at ?? run.succeed_at ?? run.failed_at ?? run.cancelled_at);
  return duration((is_final(run.status) && end ? end : now) - start);
}

export function is_final(status) {
  return status !== "pending" && status !== "running" && status !== "queued";
}
