// node build.mjs            builds ember_widgets/widgets/static/{paint,atlas}.{js,css}, inspect.css, panels.js and keys.js
// node build.mjs --tests    bundles the tests for node's test runner
// node build.mjs --dev      builds build/dev/index.html, the widget with a mock kernel
import { createHash } from "node:crypto";
import { copyFileSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
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

// Every paint widget sends its bundle to the browser and saves it in the notebook, so the bundle should be small.
// esbuild cannot shorten ("mangle") the names of methods and fields by itself, because it does not know who else uses
// them. So it is told which names are ours alone:
// - `declared`: the members of the classes and interfaces of the paint widget;
// - `reserved`: names that something else uses too. That is the DOM, Preact, @preact/signals-core, a message, an argument
//   of a call in Python, anywidget (paint.tsx), or a quoted text;
// - `shortened`: the declared names that are not reserved.
const [typescript] = readdirSync(here("node_modules/@typescript"));
const MEMBER = /^\s+(?:(?:private|protected|readonly|override|static|async|get|set) )*(\w+)\??[:(=<; ]/gm;
const BLOCK = /^(?:export )?(?:abstract )?(?:class|interface) [^{]*\{.*?^\}/gms;
const sources = [...filesIn("src/paint", /\.tsx?$/), ...filesIn("src/shared", /\.tsx?$/)].filter(
  (path) => !path.endsWith("/messages.ts"),
);
const declared = sources.flatMap((path) => (read(path).match(BLOCK) ?? []).flatMap((block) => namesIn(block, MEMBER)));
const libraryTypes = [
  ...filesIn(`node_modules/@typescript/${typescript}/lib`, /^lib\.(dom|es).*\.d\.ts$/),
  ...filesIn("node_modules/preact/src", /\.d\.ts$/),
  ...filesIn("node_modules/@preact/signals-core/dist", /\.d\.ts$/),
];
const withoutComments = (code) => code.replace(/\/\*.*?\*\//gs, "");
const reserved = new Set([
  ...libraryTypes.flatMap((path) => namesIn(read(path), /^\s+(?:readonly |get |set |static )*(\w+)\??[:(<;]/gm)),
  ...["src/paint/transport/messages.ts", "src/paint/paint.tsx"].flatMap((path) =>
    namesIn(withoutComments(read(path)), /(\w+)/g),
  ),
  ...sources.flatMap((path) =>
    (read(path).match(/\bcall: \{[^}]*\}/g) ?? []).flatMap((call) => namesIn(call, /(\w+)/g)),
  ),
  ...sources.flatMap((path) => namesIn(read(path), /"(\w+)"/g)),
]);
const shortened = [...new Set(declared)].filter((name) => name.length > 2 && !reserved.has(name));

// JSX becomes h(type, props, ...children). The form that tsconfig.json names for the type checker, in which children are
// a property, would make the bundle 1 KB larger.
const JSX = {
  tsconfigRaw: {
    compilerOptions: {
      jsx: "react",
      jsxFactory: "h",
      jsxFragmentFactory: "Fragment",
      target: "ES2022",
      verbatimModuleSyntax: true,
    },
  },
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
const preamble = (packages) =>
  packages.length > 0 && `/*! Contains ${packages.join(" and ")}; MIT licence, see NOTICE of ember_widgets. */`;
// Terser makes the result of esbuild still smaller.
const minified = async (code, preamble) => {
  const compress = { passes: 3, unsafe_arrows: true };
  return (await minify(code, { module: true, ecma: 2020, compress, format: { preamble } })).code ?? code;
};
const scriptAndStyle = (path, out) => ["tsx", "css"].map((kind) => ({ in: here(`src/${path}.${kind}`), out }));
// Names such as __k are Preact's own.
const mangleProps = new RegExp(`^(__[a-z]|${shortened.join("|")})$`);
const atlas = { entryPoints: scriptAndStyle("atlas/panel", "atlas") };
const keys = { entryPoints: [{ in: here("src/shared/keys.ts"), out: "keys" }], inject: [] };
const widgets = [
  [atlas, [PREACT]],
  [keys, []],
];

// paint.js is the text of every paint widget, and a notebook saves it. What the first picture does not need is in
// panels.js, which the kernel sends later. esbuild splits the sources into what only paint.js needs (paint), what only
// panels.js needs (panels), and what both need (common). Here common becomes a part of paint.js, and panels.js a function
// that gets it from there: `export default (require) => components`, where `require()` returns what common exports.
const COMMON = "./common.js";
// src/paint/ui/common.ts stands for what common exports: outside at first, because it is not known yet.
const commonLater = {
  name: "common later",
  setup: (build) => build.onResolve({ filter: /\/common\.ts$/ }, () => ({ path: "common.ts", external: true })),
};
// A style sheet that a component imports is a text.
const stylesAsText = {
  name: "styles as text",
  setup(build) {
    build.onLoad({ filter: /\/panels\.css$/ }, async ({ path }) => {
      const [{ text }] = (await esbuild.build({ ...shipped, entryPoints: [path], write: false })).outputFiles;
      return { contents: text, loader: "text" };
    });
  },
};
const fromMemory = (texts) => ({
  name: "from memory",
  setup(build) {
    const filter = /^(\.\/)?(paint\.js|panels\.js|common\.(js|ts))$/;
    build.onResolve({ filter }, ({ path }) => ({ path: path.replace("./", ""), namespace: "memory" }));
    build.onLoad({ filter: /./, namespace: "memory" }, ({ path }) => ({ contents: texts[path] }));
  },
});
async function buildPaint() {
  const entryPoints = { paint: here("src/paint/paint.tsx"), panels: here("src/paint/ui/panels.tsx") };
  const split = {
    splitting: true,
    chunkNames: "common",
    write: false,
    metafile: true,
    plugins: [commonLater, stylesAsText],
  };
  const { outputFiles, metafile } = await esbuild.build({ ...shipped, entryPoints, mangleProps, ...split });
  const texts = Object.fromEntries(outputFiles.map(({ path, text }) => [basename(path), text]));
  const [, { exports: names }] = Object.entries(metafile.outputs).find(([path]) => basename(path) === "common.js");
  texts["common.ts"] = `import { ${names} } from "${COMMON}"; export const common = { ${names} };`;

  const joined = { ...shipped, inject: [], write: false, plugins: [fromMemory(texts)] };
  const [paint] = (await esbuild.build({ ...joined, entryPoints: ["paint.js"] })).outputFiles;
  const apart = { format: "cjs", external: [COMMON], plugins: [] };
  const stdin = { contents: texts["panels.js"], resolveDir: here(".") };
  const [panels] = (await esbuild.build({ ...joined, ...apart, stdin })).outputFiles;
  const first = await minified(paint.text, preamble([PREACT, SIGNALS]));
  const second = `export default (require) => { const module = {}; ${panels.text}; return module.exports; }`;
  // A test compares this, so that none of the two is from another build.
  const hash = createHash("sha256").update(first).digest("hex").slice(0, 16);
  return { "paint.js": first, "panels.js": await minified(second, `/*! Needs paint.js ${hash} */`) };
}

// The page that paints without a kernel: it loads the widget's files as they are, so these are only what is around them.
const PAGE = here("../ember_widgets/page/static");
async function buildPage() {
  const conditions = ["onnxruntime-web-use-extern-wasm"]; // its scripts are files of their own, see page_runtime.mjs
  const options = { ...shipped, outdir: PAGE, inject: [], external: ["*.wasm"], conditions };
  await esbuild.build({ ...options, entryPoints: [here("src/page/worker.ts")] });
  const scripts = ["page", "service_worker"].map((name) => here(`src/page/${name}.ts`));
  await esbuild.build({ ...options, entryPoints: scripts, format: "iife" });
  await esbuild.build({ ...options, entryPoints: [here("src/page/page.css")] });
  copyFileSync(here("src/page/index.html"), `${PAGE}/index.html`);
}

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
  const inOnePiece = {
    name: "in one piece",
    setup: (build) =>
      build.onResolve({ filter: /\/ui\/load_panels\.ts$/ }, () => ({ path: here("dev/load_panels.ts") })),
  };
  const options = { entryNames: "[name]", outdir, format: "iife", minify: false, plugins: [inOnePiece, stylesAsText] };
  await esbuild.build({ ...shipped, entryPoints, mangleProps, ...options });
  copyFileSync(here("dev/index.html"), `${outdir}/index.html`);
} else {
  for (const [name, text] of Object.entries(await buildPaint())) writeFileSync(`${shipped.outdir}/${name}`, text);
  await esbuild.build({
    ...shipped,
    entryPoints: ["paint/paint.css", "inspect/inspect.css"].map((path) => here(`src/${path}`)),
    entryNames: "[name]",
  });
  for (const [widget, packages] of widgets) {
    const { outputFiles } = await esbuild.build({ ...shipped, ...widget, write: false });
    for (const { path, text } of outputFiles)
      writeFileSync(path, path.endsWith(".js") ? await minified(text, preamble(packages)) : text);
  }
  await buildPage();
  for (const folder of [shipped.outdir, PAGE])
    for (const name of readdirSync(folder)) {
      const { size } = statSync(`${folder}/${name}`);
      console.log(`${name}  ${(size / 1024).toFixed(1)} KB`);
    }
}
