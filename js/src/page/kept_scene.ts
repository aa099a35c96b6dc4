/**
 * What was painted and how the tools were left, kept in the browser: a reloaded page goes on from it. Where a browser keeps
 * nothing (a private window, an iframe without storage), every function does nothing, and the page begins with its own scene.
 */
import type { Kept } from "./kernel/kernel.ts";

const STORE = "scenes";
const toolsOf = (name: string): string => `${name} tools`;

let opening: Promise<IDBDatabase> | null = null;

/** It stays open: a page that is being reloaded has no time to open it. */
function database(): Promise<IDBDatabase> {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("ember_widgets", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => {
      request.result.onversionchange = () => request.result.close();
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
  });
  return opening;
}

async function within<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | null> {
  try {
    const transaction = (await database()).transaction(STORE, mode);
    return await new Promise((resolve, reject) => {
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
      // Otherwise it waits for the answer, which a page that is being reloaded does not hear any more.
      transaction.commit?.();
    });
  } catch {
    opening = null; // the browser may have closed it
    return null;
  }
}

const isObject = (found: unknown): found is Record<string, unknown> => typeof found === "object" && found !== null;

/** The painting that was kept under a name; null if there is none. Earlier pages kept a scene as a file. */
export async function keptScene(name: string): Promise<Kept | Uint8Array<ArrayBuffer> | null> {
  const found: unknown = await within("readonly", (store) => store.get(name));
  if (found instanceof Uint8Array) return found as Uint8Array<ArrayBuffer>;
  return isObject(found) && "painted" in found ? (found as unknown as Kept) : null;
}

export async function keepScene(name: string, kept: Kept): Promise<void> {
  await within("readwrite", (store) => store.put(kept, name));
}

/** The widget's traits that were kept under a name. */
export async function keptTools(name: string): Promise<Readonly<Record<string, unknown>>> {
  const found: unknown = await within("readonly", (store) => store.get(toolsOf(name)));
  return isObject(found) ? found : {};
}

export async function keepTools(name: string, traits: Readonly<Record<string, unknown>>): Promise<void> {
  await within("readwrite", (store) => store.put(traits, toolsOf(name)));
}

/** Forgets the painting and the tools. */
export async function forgetScene(name: string): Promise<void> {
  for (const key of [name, toolsOf(name)]) await within("readwrite", (store) => store.delete(key));
}
