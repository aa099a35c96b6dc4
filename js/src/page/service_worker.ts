/**
 * Keeps the page's files, so that it opens without a network from the second visit on, and adds the two headers that a
 * browser wants before it lets a page use several threads: a static host such as GitHub Pages cannot be told to send them.
 * What else lies in the page's folder or below it is left to the browser.
 */
import { askedFor } from "./own_files.ts";

interface Waits extends Event {
  waitUntil(promise: Promise<unknown>): void;
}
interface Fetches extends Waits {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}
interface Scope extends EventTarget {
  readonly location: Location;
  skipWaiting(): Promise<void>;
  readonly clients: { claim(): Promise<void> };
}
const scope = self as unknown as Scope;
const listen = <E extends Event>(type: string, listener: (event: E) => void): void =>
  scope.addEventListener(type, listener as EventListener);

const VERSION = new URL(scope.location.href).searchParams.get("v") ?? "";
const BASE = new URL(".", scope.location.href).href;
/** Caches of this page, whatever its version; another page of the same site has others. */
const OURS = `ember-page ${BASE} `;
const CACHE = OURS + VERSION;
/** What the page had before this service worker was there. Its other files are kept when they are fetched. */
const FIRST = ["page.js", "paint.css", "page.css", "scene.png"];

listen<Waits>("install", (event) => {
  const install = async () => {
    const first = [BASE, ...FIRST.map((name) => `${BASE}${name}?v=${VERSION}`)];
    await Promise.all(first.map((url) => fetched(url)));
    await scope.skipWaiting();
  };
  event.waitUntil(install());
});

listen<Waits>("activate", (event) => {
  const activate = async () => {
    const outdated = (await caches.keys()).filter((name) => name.startsWith(OURS) && name !== CACHE);
    await Promise.all(outdated.map((name) => caches.delete(name)));
    await scope.clients.claim();
  };
  event.waitUntil(activate());
});

listen<Fetches>("fetch", (event) => {
  const { request } = event;
  const what = askedFor(request, BASE);
  if (what === "page") event.respondWith(page());
  if (what === "file") event.respondWith(file(request.url));
});

/** One of the page's files, from the cache. A new version of the page has a cache of its own. */
async function file(url: string): Promise<Response> {
  const cache = await caches.open(CACHE);
  return isolated((await cache.match(url)) ?? (await fetched(url)));
}

/** The page itself comes from the network while there is one, so that a new version is seen. */
async function page(): Promise<Response> {
  const cache = await caches.open(CACHE);
  try {
    return isolated(await fetched(BASE));
  } catch (fault) {
    const kept = await cache.match(BASE);
    if (!kept) throw fault;
    return isolated(kept);
  }
}

/** A file from the network, which is kept. Asked of the host, not of the browser's own cache, which may be old. */
async function fetched(url: string): Promise<Response> {
  const response = await fetch(url, { cache: "no-cache" });
  if (!response.ok) return response;
  const cache = await caches.open(CACHE);
  // A browser that is short of space may refuse; then the page needs the network again next time.
  const copy = response.clone();
  await cache.put(url, copy).catch(() => {});
  return response;
}

function isolated(response: Response): Response {
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
