// What all pages have in common: the token, which stands in the address after #, and how things are fetched.

const KEPT = "ember-token";
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) localStorage.setItem(KEPT, given);
/** The token of the link; or that of the link that was opened here before. */
export const token = given ?? localStorage.getItem(KEPT) ?? "";
/** The address of the server, with the prefix of a proxy if there is one. */
export const base = new URL(".", location.href).href.replace(/\/$/, "");
/** What the address names, such as a picture. */
export const place = given ? "" : location.hash.slice(1);

/** Fetches an address of the server; throws an Error with the server's words. */
export async function ask(path, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let answer;
  try {
    answer = await fetch(`${base}/${path}`, { ...options, headers });
  } catch {
    throw new Error("The server does not answer.");
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw new Error(said.message ?? said.detail ?? `The server answers ${answer.status}.`);
}

/** An element with text, never HTML. */
export function make(name, text = "", attributes = {}) {
  const element = document.createElement(name);
  element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// Links between the pages keep the token.
for (const link of document.querySelectorAll("a[data-page]"))
  link.href = `${base}/${link.dataset.page}${token ? `#token=${encodeURIComponent(token)}` : ""}`;
