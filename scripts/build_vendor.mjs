// Copies the vendored browser files and draws the icon sprite. Run by scripts/build_assets.sh.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const modules = "node_modules";
const text = {
  "htmx.org/dist/htmx.min.js": "static/vendor/htmx.min.js",
  "@alpinejs/csp/dist/cdn.min.js": "static/vendor/alpine-csp.min.js",
  "axe-core/axe.min.js": "tests/look/vendor/axe.min.js",
};
mkdirSync("tests/look/vendor", { recursive: true });
for (const [from, to] of Object.entries(text)) {
  const source = readFileSync(`${modules}/${from}`, "utf8");
  writeFileSync(to, source.replace(/^\/\/[#@] sourceMappingURL=.*$/gm, "").trimEnd() + "\n");
}
writeFileSync(
  "static/vendor/inter-latin.woff2",
  readFileSync(`${modules}/@fontsource-variable/inter/files/inter-latin-wght-normal.woff2`),
);

// One line per icon in assets/icons.txt: a Lucide name, or "our-name:lucide-name".
const symbols = readFileSync("assets/icons.txt", "utf8").split("\n").filter(Boolean).map((line) => {
  const [name, from = name] = line.split(":");
  const svg = readFileSync(`${modules}/lucide-static/icons/${from}.svg`, "utf8");
  const body = svg.slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>"));
  return `<symbol id="${name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" ` +
    `stroke-linecap="round" stroke-linejoin="round">${body.replace(/\s*\n\s*/g, "")}</symbol>`;
});
writeFileSync(
  "static/dist/icons.svg",
  `<!-- Lucide, ISC licence --><svg xmlns="http://www.w3.org/2000/svg">${symbols.join("\n")}</svg>\n`,
);
