/**
 * Writes the scenes in a folder again, as the page writes them: for each NAME.scene a NAME.json, and a NAME.png with a
 * picture. And a moving picture, film.png. tests/unit/scene/test_page_files.py runs it, and opens the files in Python.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Pixels } from "../../../src/page/model/painter.ts";
import { fromBytes, toJson, toPng } from "../../../src/page/scene/file.ts";
import { animatedPng } from "../../../src/page/scene/png.ts";

const [width, height] = [23, 17];
const picture = (k: number): Pixels => ({
  width,
  height,
  rgba: Uint8ClampedArray.from({ length: 4 * width * height }, (_, i) => {
    const [x, y, c] = [Math.floor(i / 4) % width, Math.floor(i / 4 / width), i % 4];
    return c === 3 ? 255 : (x * x * (c + 1) + 7 * y + 50 * k) % 256;
  }),
});

const folder = process.argv[2] ?? ".";
for (const file of readdirSync(folder).filter((name) => name.endsWith(".scene"))) {
  const scene = await fromBytes(new Uint8Array(readFileSync(`${folder}/${file}`)));
  const name = `${folder}/${file.slice(0, -".scene".length)}`;
  writeFileSync(`${name}.json`, await toJson(scene));
  writeFileSync(`${name}.png`, await toPng(scene, picture(0)));
}
writeFileSync(`${folder}/film.png`, await animatedPng([0, 1, 2].map(picture), [80, 80, 240]));
