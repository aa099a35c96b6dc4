// node build.mjs            builds ember_widgets/widgets/static/{paint,atlas}.{js,css}
// node build.mjs --tests    bundles the tests for node's test runner
// node build.mjs --dev      builds build/dev/index.html, the widget with a mock kernel
import { copyFileSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import { minify } from "terser";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

// Names of the paint widget's own that are long and often said; none is a name of the DOM, of the wire, or reached by a text.
const OURS =
  "act again aim answered arrived asked beginStroke bitmap brush brushSize cancelStroke canRedo canUndo " +
  "changeOf clock compareTop continueStroke cssWidth decoded draft drags drawer drawMs due editable endStroke " +
  "eraseOn eraseOnlyFactor fetching flying follow forget forgetOriginal foundFor gesture ghost healed heard " +
  "holding holdSeed hover inText isFound isOn isStroking leadMs learn lent letGo listen lookAt lose making " +
  "mood moveCursor nFactors onChoose onCommit onConnection onError onFetch onFrame onGrid onLost onMessage " +
  "onPick onSelected onState onText onTop openFile originalAsked originals overlay pace paintOn palette " +
  "patches peaks pickFirst picking pickNow pictures post quiet readers received remainder run samplesOf " +
  "scaleOn searched seedsOpen selection sendEdit setGain shown shownSeq showOriginal sideBySide soloed stops " +
  "strengths tellSelected testid timer tinted toPoint trial useOn uses val wantIcons wantOriginal weigh store view info followers hand picture tool";
const namesIn = (path, name) => [...readFileSync(here(path), "utf8").matchAll(name)].map(([, found]) => found);
const filesIn = (folder) =>
  readdirSync(here(folder), { withFileTypes: true })
    .flatMap((found) => (found.isDirectory() ? filesIn : (path) => [path])(`${folder}/${found.name}`))
    .filter((path) => /\.tsx?$/.test(path) && !path.includes("/atlas/"));
const [types] = readdirSync(here("node_modules/@typescript")).map((found) => `node_modules/@typescript/${found}/lib`);
const taken = readdirSync(here(types))
  .filter((file) => /^lib\.(dom|es).*\.d\.ts$/.test(file))
  .flatMap((file) => namesIn(`${types}/${file}`, /^\s+(?:readonly |get |set )?(\w+)\??[(:<]/gm))
  .concat(namesIn("src/paint/transport/messages.ts", /(\w+)\??: /g))
  .concat(filesIn("src").flatMap((path) => namesIn(path, /"(\w+)"/g)));
// Said as texts too, but never to reach a member; and members of the DOM's that nothing here uses.
const harmless = ["act", "drawer", "ghost", "palette", "testid", "store", "view", "info", "picture"];
const clash = OURS.split(" ").find((name) => taken.includes(name) && !harmless.includes(name));
if (clash) throw new Error(`the DOM, wire.ts or a text says ${clash}, so it cannot be shortened`);

// h(type, props, ...children) takes 1 KB less than the form that the type checker reads, with its lists of children.
const JSX = {
  tsconfigRaw: { compilerOptions: { jsx: "react", jsxFactory: "h", target: "ES2022", verbatimModuleSyntax: true } },
  inject: [here("jsx.mjs")],
};

const shipped = {
  outdir: here("../ember_widgets/widgets/static"),
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "inline",
  ...JSX,
  logLevel: "warning",
};
// What esbuild leaves; every widget sends and saves its bundle again.
const smaller = async (code) =>
  (await minify(code, { module: true, ecma: 2020, compress: { passes: 3, unsafe_arrows: true } })).code ?? code;
const both = (path, out) => ["tsx", "css"].map((kind) => ({ in: here(`src/${path}.${kind}`), out }));
const paint = {
  entryPoints: both("paint/paint", "paint"),
  mangleProps: new RegExp(`^(${OURS.replaceAll(" ", "|")})$`),
};
const atlas = { entryPoints: both("atlas/panel", "atlas") };
const keys = { entryPoints: [{ in: here("src/shared/keys.ts"), out: "keys" }], inject: [] };

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
  const entryPoints = [here("dev/page.ts"), here("src/paint/paint.css")];
  await esbuild.build({
    ...shipped,
    ...paint,
    entryPoints,
    entryNames: "[name]",
    outdir,
    format: "iife",
    minify: false,
  });
  copyFileSync(here("dev/index.html"), `${outdir}/index.html`);
} else {
  for (const widget of [paint, atlas, keys]) {
    const { outputFiles } = await esbuild.build({ ...shipped, ...widget, write: false });
    for (const { path, text } of outputFiles) writeFileSync(path, path.endsWith(".js") ? await smaller(text) : text);
  }
  for (const name of readdirSync(shipped.outdir)) {
    const { size } = statSync(`${shipped.outdir}/${name}`);
    console.log(`${name}  ${(size / 1024).toFixed(1)} KB`);
  }
}
