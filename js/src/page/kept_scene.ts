/**
 * The scene as it was left, kept in the browser: a reloaded page goes on from it. Where a browser keeps nothing (a
 * private window, an iframe without storage), every function does nothing, and the page begins with its own scene.
 */
const STORE = "scenes";

async function database(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("ember_widgets", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function within<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | null> {
  try {
    const opened = await database();
    return await new Promise((resolve, reject) => {
      const transaction = opened.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => {
        opened.close();
        resolve(request.result);
      };
      transaction.onabort = () => reject(transaction.error);
    });
  } catch {
    return null;
  }
}

/** The file that was kept under a name; null if there is none. */
export async function keptScene(name: string): Promise<Uint8Array<ArrayBuffer> | null> {
  const found: unknown = await within("readonly", (store) => store.get(name));
  return found instanceof Uint8Array ? (found as Uint8Array<ArrayBuffer>) : null;
}

export async function keepScene(name: string, file: Uint8Array<ArrayBuffer>): Promise<void> {
  await within("readwrite", (store) => store.put(file, name));
}

export async function forgetScene(name: string): Promise<void> {
  await within("readwrite", (store) => store.delete(name));
}
