import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { askedFor, OWN_FILES } from "../../src/page/own_files.ts";

const BASE = "https://name.github.io/";
const asked = (path: string, mode: Request["mode"] = "no-cors", method = "GET") =>
  askedFor({ method, mode, url: new URL(path, BASE).href }, BASE);

test("the page is answered under both its names, whatever follows", () => {
  for (const path of ["", "?cpu", "#top", "index.html", "index.html?cpu"])
    assert.equal(asked(path, "navigate"), "page", path);
});

test("pages of other projects below the page's folder are left to the browser", () => {
  for (const path of ["other/", "other/index.html", "other", "about.html", "page.js", "scene.png"])
    assert.equal(asked(path, "navigate"), null, path);
  assert.equal(askedFor({ method: "GET", mode: "navigate", url: "https://elsewhere.org/" }, BASE), null);
});

test("of all other files only the page's own are answered", () => {
  for (const path of [
    "page.js?v=1",
    "worker.js?v=1",
    "scene.png?v=1",
    "manifest.json",
    "suffix.onnx.gz",
    "wasm.wasm.gz",
  ])
    assert.equal(asked(path), "file", path);
  for (const path of ["other/page.js", "other/", "data.json", "models.onnx.gz", "service_worker.js?v=1"])
    assert.equal(asked(path), null, path);
  assert.equal(asked("manifest.json", "cors", "POST"), null);
});

// The tests run as bundles in build/tests/page.
const path = (name: string) => fileURLToPath(new URL(`../../../../ember_widgets/${name}`, import.meta.url));

test("every file that an export writes is one of the page's own", () => {
  const shell = readdirSync(path("page/static")).filter((name) => !["index.html", "service_worker.js"].includes(name));
  const folder = readFileSync(path("page/folder.py"), "utf8");
  const quoted = (line: RegExp) => [...(folder.match(line)?.[0] ?? "").matchAll(/"([^"]+)"/g)].map(([, name]) => name);
  const widget = quoted(/^WIDGET_FILES = .*$/m);
  assert.deepEqual(widget, ["paint.js", "panels.js", "paint.css"]);
  for (const name of [...shell, ...widget, ...quoted(/^SCENE = .*$/m)]) assert.ok(OWN_FILES.has(name ?? ""), name);
});
