// What every page has: the theme button, menus, dialogs, toasts, and copying.
document.addEventListener("alpine:init", () => {
  const { Alpine } = window;

  Alpine.data("themeToggle", () => ({
    theme: window.agentstoreTheme.current(),
    get label() {
      return this.theme === "dark" ? "Use the light theme" : "Use the dark theme";
    },
    toggle() {
      this.theme = this.theme === "dark" ? "light" : "dark";
      window.agentstoreTheme.set(this.theme);
    },
  }));

  // On a <details> that is a menu: closes on Escape, on a click elsewhere, and when focus leaves it.
  Alpine.data("menu", () => ({
    close() {
      this.$root.open = false;
    },
    escape() {
      if (!this.$root.open) return;
      this.$root.open = false;
      this.$root.querySelector("summary").focus();
    },
    blurred(event) {
      if (event.relatedTarget && !this.$root.contains(event.relatedTarget)) this.$root.open = false;
    },
  }));

  // Around a button and a <dialog>: components/confirm.html.
  Alpine.data("confirm", () => ({
    open() {
      this.$root.querySelector("dialog").showModal();
    },
    close() {
      this.$root.querySelector("dialog").close();
    },
  }));

  Alpine.data("toast", () => ({
    init() {
      if (this.$root.dataset.lasting === undefined) this.timer = setTimeout(() => this.dismiss(), 8000);
    },
    hold() {
      clearTimeout(this.timer);
    },
    dismiss() {
      this.$root.remove();
    },
  }));

  // Copies the text of the element that data-copy names (an id), or data-text itself.
  Alpine.data("copy", () => ({
    done: false,
    get label() {
      return this.done ? "Copied" : "Copy";
    },
    async copy() {
      const { copy, text } = this.$root.dataset;
      await navigator.clipboard.writeText(text ?? document.getElementById(copy).textContent.trim());
      this.done = true;
      setTimeout(() => (this.done = false), 2000);
    },
  }));
});

// A select or checkbox marked data-submit sends its form as soon as it changes.
document.addEventListener("change", (event) => {
  const field = event.target.closest("[data-submit]");
  if (field?.form) field.form.requestSubmit();
});

// The server could not be reached at all: there is no answer to show, so the page says it.
function showToast(title, hint) {
  const template = document.getElementById("toast-template");
  const region = document.getElementById("toasts");
  if (!template || !region) return;
  const toast = template.content.cloneNode(true);
  toast.querySelector("[data-title]").textContent = title;
  toast.querySelector("[data-hint]").textContent = hint;
  region.append(toast);
}
window.agentstoreToast = showToast;

for (const name of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, () =>
    showToast("The store did not answer.", "Check your connection and try again."),
  );
}
