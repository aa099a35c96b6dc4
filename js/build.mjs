// node build.mjs            builds ember_widgets/widgets/static/{paint,atlas}.{js,css}
// node build.mjs --tests    bundles the tests for node's test runner
// node build.mjs --dev      builds build/dev/index.html, the widget with a mock kernel
import { copyFileSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import { minify } from "terser";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const read = (path) => readFileSync(here(path), "utf8");
const filesIn = (folder, pattern) =>
  readdirSync(here(folder), { recursive: true })
    .filter((name) => pattern.test(name))
    .map((name) => `${folder}/${name}`);
const namesIn = (text, pattern) => [...text.matchAll(pattern)].map(([, name]) => name);

// The build shortens the names of our own members: every widget sends and saves its bundle again. They are found in the
// classes and interfaces of the paint widget. A name stays as it is if the DOM, Preact, a message, an argument of a call
// in Python, anywidget (paint.tsx) or a text uses it too.
const [typescript] = readdirSync(here("node_modules/@typescript"));
const MEMBER = /^\s+(?:(?:private|protected|readonly|override|static|async|get|set) )*(\w+)\??[:(=<; ]/gm;
const BLOCK = /^(?:export )?(?:abstract )?(?:class|interface) [^{]*\{.*?^\}/gms;
const sources = [...filesIn("src/paint", /\.tsx?$/), ...filesIn("src/shared", /\.tsx?$/)].filter(
  (path) => !path.endsWith("/messages.ts"),
);
const declared = sources.flatMap((path) => (read(path).match(BLOCK) ?? []).flatMap((block) => namesIn(block, MEMBER)));
const foreign = [
  ...filesIn(`node_modules/@typescript/${typescript}/lib`, /^lib\.(dom|es).*\.d\.ts$/),
  ...filesIn("node_modules/preact/src", /\.d\.ts$/),
  ...filesIn("node_modules/@preact/signals-core/dist", /\.d\.ts$/),
];
const withoutComments = (code) => code.replace(/\/\*.*?\*\//gs, "");
const taken = new Set([
  ...foreign.flatMap((path) => namesIn(read(path), /^\s+(?:readonly |get |set |static )*(\w+)\??[:(<;]/gm)),
  ...["src/paint/transport/messages.ts", "src/paint/paint.tsx"].flatMap((path) =>
    namesIn(withoutComments(read(path)), /(\w+)/g),
  ),
  ...sources.flatMap((path) =>
    (read(path).match(/\bcall: \{[^}]*\}/g) ?? []).flatMap((call) => namesIn(call, /(\w+)/g)),
  ),
  ...sources.flatMap((path) => namesIn(read(path), /"(\w+)"/g)),
]);
const ours = [...new Set(declared)].filter((name) => name.length > 2 && !taken.has(name));

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
// The MIT licence asks for its notice in every copy.
const PREACT = "Preact, (c) 2015-present Jason Miller";
const SIGNALS = "@preact/signals-core, (c) 2022-present Preact Team";
const preamble = (contents) =>
  contents.length > 0 && `/*! Contains ${contents.join(" and ")}; MIT licence, see NOTICE of ember_widgets. */`;
// Terser makes the result of esbuild smaller.
const smaller = async (code, contents) => {
  const compress = { passes: 3, unsafe_arrows: true };
  const format = { preamble: preamble(contents) };
  return (await minify(code, { module: true, ecma: 2020, compress, format })).code ?? code;
};
const both = (path, out) => ["tsx", "css"].map((kind) => ({ in: here(`src/${path}.${kind}`), out }));
const paint = { entryPoints: both("paint/paint", "paint"), mangleProps: new RegExp(`^(${ours.join("|")})$`) };
const atlas = { entryPoints: both("atlas/panel", "atlas") };
const keys = { entryPoints: [{ in: here("src/shared/keys.ts"), out: "keys" }], inject: [] };
const widgets = [
  [paint, [PREACT, SIGNALS]],
  [atlas, [PREACT]],
  [keys, []],
];

if (process.argv.includes("--tests")) {
  const outdir = here("build/tests");
  rmSync(outdir, { recursive: true, force: true });
  await esbuild.build({
    entryPoints: filesIn("tests", /\.test\.ts$/).map(here),
    outbase: here("tests"),
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
  for (const [widget, contents] of widgets) {
    const { outputFiles } = await esbuild.build({ ...shipped, ...widget, write: false });
    for (const { path, text } of outputFiles)
      writeFileSync(path, path.endsWith(".js") ? await smaller(text, contents) : text);
  }
  for (const name of readdirSync(shipped.outdir)) {
    const { size } = statSync(`${shipped.outdir}/${name}`);
    console.log(`${name}  ${(size / 1024).toFixed(1)} KB`);
  }
}
