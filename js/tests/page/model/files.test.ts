import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { gzipSync } from "node:zlib";
import { Download, fetchJson } from "../../../src/page/model/files.ts";

const FOLDER = new URL("https://example.org/paint/");
const CONTENT = new Uint8Array(1000).map((_, i) => (i * i) % 251);
const PACKED = new Uint8Array(gzipSync(CONTENT));
const FILE = { file: "suffix.onnx.gz", bytes: PACKED.length, unpacked: CONTENT.length };
const NAMED = /^Error: https:\/\/example.org\/paint\/suffix.onnx.gz cannot be fetched: /;

const fetchBefore = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = fetchBefore;
});

/** Has every request answered with this. */
function serve(body: BodyInit): void {
  globalThis.fetch = async () => new Response(body);
}

test("a file arrives unpacked, whoever unpacks it", async () => {
  for (const body of [PACKED, CONTENT]) {
    serve(body);
    assert.deepEqual(await new Download(FOLDER, [FILE]).fetch(FILE), CONTENT);
  }
});

test("a file that was cut off is named", async () => {
  serve(PACKED.subarray(0, PACKED.length / 2));
  await assert.rejects(new Download(FOLDER, [FILE]).fetch(FILE), NAMED);
});

test("a page that a host sends in the place of a missing file is not taken for the file", async () => {
  serve("<!doctype html><title>Not found</title>");
  await assert.rejects(new Download(FOLDER, [FILE]).fetch(FILE), NAMED);
  await assert.rejects(
    fetchJson(new URL("manifest.json", FOLDER)),
    /^Error: https:\/\/example.org\/paint\/manifest.json cannot be fetched: the server sends something else/,
  );
});

test("a connection that ends in the middle of a file names the file", async () => {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(PACKED.subarray(0, 100));
    },
    pull(controller) {
      controller.error(new TypeError("network error"));
    },
  });
  serve(body);
  await assert.rejects(new Download(FOLDER, [FILE]).fetch(FILE), /suffix.onnx.gz cannot be fetched: network error$/);
});
