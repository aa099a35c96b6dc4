/** Starts the page's service worker, through which all further files come. */

const PATIENCE_MS = 3000;
const RELOADED = "ember_widgets: reloaded for threads";

/**
 * Waits until the service worker serves this page: then every file that is fetched from here on is kept for later visits.
 * Where there can be none (no https, a private window, an iframe without storage), the page works without it.
 *
 * Returns false if the page is being reloaded, because only then the browser lets it use several threads.
 */
export async function startService(url: URL): Promise<boolean> {
  const { serviceWorker } = navigator;
  if (!serviceWorker) return true;
  try {
    const controls = () => serviceWorker.controller?.scriptURL === url.href;
    const isThere = new Promise<boolean>((resolve) => {
      const check = () => controls() && resolve(true);
      serviceWorker.addEventListener("controllerchange", check);
      check();
      setTimeout(() => resolve(false), PATIENCE_MS);
    });
    await serviceWorker.register(url);
    if (!(await isThere)) return true;
  } catch {
    return true;
  }
  // Inside another page, that page decides about threads.
  if (crossOriginIsolated || window.top !== window || sessionStorage.getItem(RELOADED)) return true;
  sessionStorage.setItem(RELOADED, "yes"); // once only: a browser may refuse all the same
  location.reload();
  return false;
}
