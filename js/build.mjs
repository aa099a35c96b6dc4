// node build.mjs            builds ember_widgets/widgets/static/{paint,atlas}.{js,css}
// node build.mjs --tests    bundles the tests for node's test runner
// node build.mjs --dev      builds build/dev/index.html, the widget with a mock kernel
import { copyFileSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

// Names of our own that are long and often said; none is a name of the DOM, of the wire, or reached by a text.
const OURS =
  "aimed answered before beginStroke brushSize canRedo canUndo cancelStroke closeSheet compare continueStroke cursor " +
  "drawMs drawer editable endStroke eraseOnlyFactor fetching flying foundFor gesture ghost heard holdSeed holding " +
  "isFound isStroking leadMs letGo listen making moveCursor nFactors onChoose onCommit onConnection onError onFetch " +
  "onFrame onGrid onLost onMessage onPick onSelected onState openFile palette pictures pressed quiet readers " +
  "remainder searched seedsOpen selection sendEdit setGain shownSeq sideBySide soloed strengths tellSelected testid " +
  "tinted transport useOn val waiting wantIcons";
const said = (path) => [...readFileSync(here(path), "utf8").matchAll(/readonly (\w+)\??:/g)].map(([, name]) => name);
for (const wire of ["src/wire.ts", "src/atlas/wire.ts"]) {
  const clash = OURS.split(" ").find((name) => said(wire).includes(name));
  if (clash) throw new Error(`${wire} says ${clash}, so it cannot be shortened`);
}

// h(type, props, ...children) takes 1 KB less than the form that the type checker reads, with its lists of children.
const JSX = {
  tsconfigRaw: { compilerOptions: { jsx: "react", jsxFactory: "h", target: "ES2022", verbatimModuleSyntax: true } },
  inject: [here("jsx.mjs")],
};

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
  ...JSX,
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
    ...JSX,
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
