// How to begin: the lines for a notebook, with this address and the token of the link.
import { ask, base, token } from "./page.js";

const part = (id) => document.getElementById(id);
const quoted = (text) => JSON.stringify(text);
const code = [
  "import ember_widgets as ember",
  "",
  `painter = ember.connect(${quoted(base)}${token ? `, token=${quoted(token)}` : ""})`,
  "ember.PaintWidget(painter)",
].join("\n");
part("code").textContent = code;
part("yours").hidden = !token;
part("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(code);
    part("copied").textContent = "Copied.";
  } catch {
    // Without permission, or without https: the text is selected, so that Ctrl+C copies it.
    getSelection().selectAllChildren(part("code"));
    part("copied").textContent = "Selected: press Ctrl+C.";
  }
});
try {
  const model = await (await ask("v1/models")).json();
  const name = model.person ? `Welcome, ${model.person}. ` : "";
  const id = model.model.id === "embedded" ? "the embedded model" : model.model.id;
  part("state").textContent = `${name}The server is up, with ${id}.`;
  part("to-gallery").hidden = !model.capabilities.includes("share");
} catch (fault) {
  part("state").textContent = fault.message;
  part("state").className = "bad";
}
