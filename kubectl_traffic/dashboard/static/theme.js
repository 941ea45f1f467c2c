/**
 * Light or dark: as the system has it, until somebody chooses otherwise for this page.
 */

const KEY = "theme";
const ORDER = ["system", "light", "dark"];

/** What was chosen before. */
export function begin() {
  apply(stored());
}

/** The choice as it is: "system", "light" or "dark". */
export function stored() {
  try {
    const found = localStorage.getItem(KEY);
    return ORDER.includes(found) ? found : "system";
  } catch {
    return "system";
  }
}

/** Go on to the next choice, and return it. */
export function turn() {
  const next = ORDER[(ORDER.indexOf(document.documentElement.dataset.theme ?? "system") + 1) % ORDER.length];
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // A browser that keeps nothing still shows it for now.
  }
  apply(next);
  return next;
}

function apply(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}
