// Runs before the first paint, so that a chosen theme does not flash. No choice: the system's preference.
(() => {
  const key = "agentstore.theme";
  const root = document.documentElement;
  const read = () => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // storage may be forbidden; the system's preference stays
    }
  };
  const chosen = read();
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;

  window.agentstoreTheme = {
    current: () =>
      root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"),
    set(theme) {
      root.dataset.theme = theme;
      try {
        localStorage.setItem(key, theme);
      } catch {
        // the choice then lasts for this page only
      }
    },
  };
})();
