/** The service worker: offline, isolation, and photos from the share sheet. */

const RELOADED = "isolation-tried";

/**
 * Install the service worker. Where the host sets no headers for isolation, which threads need, the page is loaded once
 * more, now through the worker, which adds them.
 *
 * @returns whether the page stays; otherwise it is about to be loaded again.
 */
export async function installWorker(): Promise<boolean> {
  if (!("serviceWorker" in navigator) || import.meta.env.DEV) return true;
  try {
    await navigator.serviceWorker.register(new URL("sw.js", document.baseURI));
    await within(navigator.serviceWorker.ready, 15_000);
    await within(controlled(), 5_000);
  } catch {
    return true; // without it the page works, with a network and one thread
  }
  if (self.crossOriginIsolated || sessionStorage.getItem(RELOADED)) return true;
  sessionStorage.setItem(RELOADED, "yes");
  location.reload();
  return false;
}

async function controlled(): Promise<void> {
  if (navigator.serviceWorker.controller) return;
  await new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true }));
}

async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T> {
  const late = new Promise<never>((_, reject) => setTimeout(() => reject(new Error("too late")), milliseconds));
  return Promise.race([promise, late]);
}

/** Take the photos that another app shared, and forget them. */
export async function takeShared(): Promise<File[]> {
  if (!("caches" in self) || !(await caches.has("face-encryption-shared"))) return [];
  const cache = await caches.open("face-encryption-shared");
  const files: File[] = [];
  for (const request of await cache.keys()) {
    const response = await cache.match(request);
    if (!response) continue;
    const name = decodeURIComponent(response.headers.get("X-Name") ?? "photo");
    files.push(new File([await response.blob()], name, { type: response.headers.get("Content-Type") ?? "" }));
    await cache.delete(request);
  }
  return files;
}
