// The shared pictures, the newest first; new ones appear by themselves.
import { ask, make, place } from "./page.js";

const EVERY_MS = 4000;
const list = document.getElementById("pictures");
const state = document.getElementById("state");
const shown = new Map();

function said(text, isBad = false) {
  if (state.textContent !== text) state.textContent = text;
  state.className = isBad ? "bad" : "soft";
}

async function show(picture, you) {
  const item = make("li", "", { "data-id": picture.id });
  shown.set(picture.id, item);
  const by = picture.person ? ` by ${picture.person}` : "";
  const name = picture.title || "Untitled";
  const image = make("img", "", { alt: `${name}${by}` });
  const link = make("a", "", { download: `${name}.png`, title: "Download" });
  link.append(image);
  const about = make("div", "", { class: "about" });
  const words = make("div");
  words.append(make("strong", name), make("span", picture.person, { class: "soft" }));
  about.append(words);
  if (["", "teacher", picture.person].includes(you)) {
    const remove = make("button", "×", { type: "button", title: "Remove", "aria-label": `Remove ${name}` });
    remove.addEventListener("click", async () => {
      if (!remove.dataset.sure) {
        remove.dataset.sure = "yes";
        remove.textContent = "Remove?";
        return;
      }
      try {
        await ask(`v1/gallery/${picture.id}`, { method: "DELETE" });
        await refresh();
      } catch (fault) {
        said(fault.message, true);
      }
    });
    about.append(remove);
  }
  item.append(link, about);
  if (picture.id === place) {
    item.className = "here";
    item.setAttribute("aria-current", "true");
  }
  const data = await (await ask(`v1/gallery/${picture.id}.png`)).blob();
  image.src = link.href = URL.createObjectURL(data);
}

async function refresh() {
  const { you, pictures } = await (await ask("v1/gallery")).json();
  for (const [id, item] of shown)
    if (!pictures.some((picture) => picture.id === id)) {
      URL.revokeObjectURL(item.querySelector("img").src);
      item.remove();
      shown.delete(id);
    }
  // Oldest first, each before those that are there.
  for (const picture of pictures.filter(({ id }) => !shown.has(id)).reverse()) {
    const loading = show(picture, you);
    list.prepend(shown.get(picture.id));
    await loading.catch(() => {}); // removed meanwhile
  }
  said(pictures.length ? `${pictures.length} ${pictures.length === 1 ? "picture" : "pictures"}` : "No picture was shared yet.");
}

async function keepUp() {
  if (!document.hidden)
    try {
      await refresh();
    } catch (fault) {
      said(fault.message, true);
    }
  setTimeout(keepUp, EVERY_MS);
}

void keepUp();
