/* Before anything is painted: the theme that was chosen, if one was. */
"use strict";
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark")
    document.documentElement.dataset.theme = chosen;
} catch {
  /* Storage may be forbidden; the system's theme it is, then. */
}
