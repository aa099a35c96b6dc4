// node build.mjs            builds ember_widgets/widgets/static/{paint,atlas}.{js,css}
// node build.mjs --tests    bundles the tests for node's test runner
// node build.mjs --dev      builds build/dev/index.html, the widget with a mock kernel
import { copyFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

// Names of our own that are long and often said; none is a name of the DOM, of the wire, or reached by a text.
const OURS =
  "answered beginStroke brushSize cancelStroke canRedo canUndo closeSheet continueStroke drawMs endStroke " +
  "eraseOnlyFactor flying forgetOriginal gesture holdSeed isFound isStroking leadMs moveCursor onChoose onCommit " +
  "onConnection originalAsked originals pictures seedsOpen sendEdit setGain showOriginal shownSeq sideBySide soloed " +
  "tellSelected testid wantIcons wantOriginal";

const shipped = {
  entryPoints: [
    { in: here("src/paint.tsx"), out: "paint" },
    { in: here("src/paint.css"), out: "paint" },
    { in: here("src/atlas/panel.tsx"), out: "atlas" },
    { in: here("src/atlas/panel.css"), out: "atlas" },
  ],
  outdir: here("../ember_widgets/widgets/static"),
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "inline",
  jsx: "automatic",
  jsxImportSource: "preact",
  logLevel: "warning",
  mangleProps: new RegExp(`^(${OURS.replaceAll(" ", "|")})$`),
};

if (process.argv.includes("--tests")) {
  const outdir = here("build/tests");
  rmSync(outdir, { recursive: true, force: true });
  const entryPoints = readdirSync(here("tests"))
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => here(`tests/${name}`));
  await esbuild.build({
    entryPoints,
    outdir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    sourcemap: "inline",
    jsx: "automatic",
    jsxImportSource: "preact",
    logLevel: "warning",
  });
} else if (process.argv.includes("--dev")) {
  const outdir = here("build/dev");
  const entryPoints = [here("dev/page.ts"), here("src/paint.css")];
  await esbuild.build({ ...shipped, entryPoints, entryNames: "[name]", outdir, format: "iife", minify: false });
  copyFileSync(here("dev/index.html"), `${outdir}/index.html`);
} else {
  await esbuild.build(shipped);
  for (const name of readdirSync(shipped.outdir)) {
    const { size } = statSync(`${shipped.outdir}/${name}`);
    console.log(`${name}  ${(size / 1024).toFixed(1)} KB`);
  }
}
