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

async function show(picture) {
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
  if (picture.can_remove) {
    const remove = make("button", "", { type: "button", title: "Remove" });
    let isAsking = false;
    const setAsking = (asks) => {
      isAsking = asks;
      remove.textContent = asks ? "Remove?" : "×";
      remove.setAttribute("aria-label", asks ? `Remove ${name}?` : `Remove ${name}`);
    };
    setAsking(false);
    remove.addEventListener("blur", () => setAsking(false));
    remove.addEventListener("click", async () => {
      if (!isAsking) {
        remove.focus(); // Safari does not focus a button that is clicked
        setAsking(true);
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
  const { pictures } = await (await ask("v1/gallery")).json();
  for (const [id, item] of shown)
    if (!pictures.some((picture) => picture.id === id)) {
      URL.revokeObjectURL(item.querySelector("img").src);
      item.remove();
      shown.delete(id);
    }
  // Oldest first, each before the next older one that is there.
  for (const [i, picture] of [...pictures.entries()].reverse()) {
    const { id } = picture;
    if (shown.has(id)) continue;
    const loading = show(picture);
    const item = shown.get(id);
    const older = pictures.slice(i + 1).find((one) => shown.has(one.id));
    list.insertBefore(item, older ? shown.get(older.id) : null);
    // One that does not come, or is removed meanwhile, is asked for again as long as it is listed.
    await loading.catch(() => {
      item.remove();
      shown.delete(id);
    });
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
