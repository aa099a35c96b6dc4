/**
 * Serves the page without a network. The large files come from the cache that the page's worker fills (files.ts); the
 * small ones are put there when this service worker is installed.
 *
 * It also adds the two headers that a browser wants before it lets a page use several threads; a static host such as
 * GitHub Pages cannot be told to send them.
 */
import { cacheName, isOutdated } from "./files.ts";

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
const SMALL = ["page.js", "worker.js", "paint.js", "panels.js", "paint.css", "page.css", "scene.png"];

listen<Waits>("install", (event) => {
  const install = async () => {
    const cache = await caches.open(cacheName(BASE, VERSION));
    await cache.addAll([BASE, ...SMALL.map((name) => `${BASE}${name}?v=${VERSION}`)]);
    await scope.skipWaiting();
  };
  event.waitUntil(install());
});

listen<Waits>("activate", (event) => {
  const activate = async () => {
    const names = await caches.keys();
    await Promise.all(names.filter((name) => isOutdated(name, BASE, VERSION)).map((name) => caches.delete(name)));
    await scope.clients.claim();
  };
  event.waitUntil(activate());
});

listen<Fetches>("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && request.url.startsWith(BASE)) event.respondWith(answer(request));
});

/** The page itself comes from the network while there is one, so that a new version is seen; all else from the cache. */
async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(cacheName(BASE, VERSION));
  if (request.mode === "navigate") {
    try {
      return isolated(await fetch(request));
    } catch {
      const kept = await cache.match(BASE);
      return kept ? isolated(kept) : Response.error();
    }
  }
  const kept = await cache.match(request);
  return isolated(kept ?? (await fetch(request)));
}

function isolated(response: Response): Response {
  if (!response.ok || response.type === "opaque") return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
