/**
 * The page without a network. When all its files have come they are put into the browser's cache, from which
 * `public/sw.js` serves them later; older versions' files are removed then. Nothing of this happens after the
 * page has forbidden itself every connection.
 */

const CACHE = 'framesift';
const MOST_KEEPING_MS = 5000;

/**
 * A file from the cache, or from the network: into the cache first and from there, since Chromium holds a response that is
 * read twice in memory until it next collects garbage.
 */
export async function cached(url: string): Promise<Response> {
  const cache = await openCache();
  const kept = await cache?.match(url);
  if (kept) return kept;
  const response = await fetch(url);
  if (!cache || !response.ok) return response;
  const type = { headers: { 'content-type': response.headers.get('content-type') ?? '' } };
  const bytes = await response.arrayBuffer();
  const put = cache.put(url, new Response(bytes, type)).then(() => cache.match(url));
  // There may be no room, or a disk that stalls.
  const now = await Promise.race([put.catch(() => undefined), timeout(MOST_KEEPING_MS)]);
  if (!now) return new Response(bytes, type);
  bytes.transfer?.(0);
  return now;
}

/** `undefined` where this browser, or its mode, has none. */
async function openCache(): Promise<Cache | undefined> {
  try {
    return await caches.open(CACHE);
  } catch {
    return undefined;
  }
}

function timeout(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms));
}

/** Keeps the page, its code and `files`, which have been loaded, for visits without a network. Where that cannot be, it goes on without. */
export async function keepForOffline(files: string[]): Promise<void> {
  // A network that stalls must not keep anybody waiting: the next visit tries again.
  await Promise.race([keepAll(files), timeout(MOST_KEEPING_MS)]);
}

async function keepAll(files: string[]): Promise<void> {
  try {
    await navigator.serviceWorker.register(new URL('sw.js', document.baseURI), { updateViaCache: 'all' });
    const cache = await caches.open(CACHE);
    const page = new URL('.', document.baseURI).href;
    const code = [...document.querySelectorAll<HTMLScriptElement | HTMLLinkElement>('script[src], link[rel="stylesheet"]')].map((part) => ('src' in part ? part.src : part.href));
    await Promise.all(code.map(async (url) => (await cache.match(url)) ?? cache.add(url)));
    // The page last, and only if all that it needs is there and it is still of this version.
    if ((await Promise.all(files.map((url) => cache.match(url)))).includes(undefined)) return;
    const response = await fetch(page);
    const text = await response.clone().text();
    if (!response.ok || response.redirected || !code.every((url) => text.includes(url.slice(url.lastIndexOf('/') + 1)))) return;
    await cache.put(page, response);
    const wanted = new Set([page, ...code, ...files.map((url) => new URL(url, document.baseURI).href)]);
    for (const { url } of await cache.keys()) if (!wanted.has(url)) await cache.delete(url);
  } catch {
    // No service workers here, no room, or the network has gone: the next visit tries again.
  }
}

/**
 * Lets the browser offer to install the page. The manifest is part of the page: browsers fetch one whenever they
 * like, also after the page has closed its network.
 */
export function describeApp(name: string, description: string): void {
  const page = new URL('.', document.baseURI).href;
  const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]')?.href ?? '';
  const manifest = {
    id: page,
    name,
    short_name: name,
    description,
    start_url: page,
    scope: page,
    display: 'standalone',
    background_color: '#f4f6f3',
    theme_color: '#0f766e',
    icons: [{ src: icon, type: 'image/svg+xml', sizes: 'any', purpose: 'any' }],
  };
  const link = document.createElement('link');
  link.rel = 'manifest';
  link.href = `data:application/manifest+json,${encodeURIComponent(JSON.stringify(manifest))}`;
  document.head.append(link);
}
