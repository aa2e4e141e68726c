/**
 * The service worker: the page works without a network, is isolated so that it may use threads on hosts that set no
 * headers, may ask no other origin for anything, and takes photos from the share sheet.
 *
 * The build puts the list of its files and their version in here.
 */

declare const __SHELL__: { version: string; files: string[]; policy: string };

const worker = self as unknown as ServiceWorkerGlobalScope;
const { version, files, policy } = __SHELL__;
const PREFIX = "face-encryption-";
const SHELL = `${PREFIX}shell-${version}`;
const MODELS = `${PREFIX}models`;
const SHARED = `${PREFIX}shared`;
const SHARE = "share";

const scope = () => worker.registration.scope;
const isModel = (path: string) => path.startsWith("artifacts/");

worker.addEventListener("install", (event) => event.waitUntil(install()));
worker.addEventListener("activate", (event) => event.waitUntil(activate()));
worker.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (!url.href.startsWith(scope())) return;
  const path = url.pathname.slice(new URL(scope()).pathname.length);
  if (event.request.method === "POST" && path === SHARE) event.respondWith(takeShared(event.request));
  else if (event.request.method === "GET") event.respondWith(answer(event.request, path));
});

async function install(): Promise<void> {
  const cache = await caches.open(SHELL);
  await cache.addAll(files.map((file) => new Request(new URL(file, scope()), { cache: "no-cache" })));
  await worker.skipWaiting();
}

async function activate(): Promise<void> {
  const old = (await caches.keys()).filter((name) => name.startsWith(`${PREFIX}shell-`) && name !== SHELL);
  await Promise.all(old.map((name) => caches.delete(name)));
  await worker.clients.claim();
}

async function answer(request: Request, path: string): Promise<Response> {
  try {
    return isolated(isModel(path) ? await model(path) : await shell(request, path));
  } catch {
    return new Response("no network", { status: 504, statusText: "no network" });
  }
}

async function shell(request: Request, path: string): Promise<Response> {
  const kept = await (await caches.open(SHELL)).match(new URL(path === "" ? "./" : path, scope()));
  return kept ?? fetch(request);
}

/**
 * The manifest of the models comes from the network where there is one, so that new models are noticed; what is kept of
 * others is dropped then. All other files are named by it, with their hashes.
 */
async function model(path: string): Promise<Response> {
  const cache = await caches.open(MODELS);
  const url = new URL(path, scope()).href;
  const kept = await cache.match(url);
  if (kept && path !== "artifacts/manifest.json") return kept;
  let response: Response;
  try {
    response = await fetch(url, { cache: "no-cache" });
  } catch (error) {
    if (kept) return kept;
    throw error;
  }
  if (!response.ok) return kept ?? response;
  if (kept && (await kept.clone().text()) !== (await response.clone().text())) {
    await Promise.all((await cache.keys()).map((each) => cache.delete(each)));
  }
  await cache.put(url, response.clone());
  return response;
}

function isolated(response: Response): Response {
  if (response.type === "opaque" || response.status === 0) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  headers.set("Content-Security-Policy", policy);
  headers.set("Referrer-Policy", "no-referrer");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

/** Keep photos that another app shares until the page, to which this leads, takes them. */
async function takeShared(request: Request): Promise<Response> {
  const form = await request.formData();
  const photos = form.getAll("photos").filter((each) => each instanceof File);
  const cache = await caches.open(SHARED);
  await Promise.all(
    photos.map((file, i) => {
      const headers = { "Content-Type": file.type || "application/octet-stream", "X-Name": encodeURIComponent(file.name) };
      return cache.put(new URL(`shared/${Date.now()}-${i}`, scope()), new Response(file, { headers }));
    }),
  );
  return Response.redirect(new URL("./?shared", scope()).href, 303);
}
