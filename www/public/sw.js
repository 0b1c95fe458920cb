// Serves the page when the network is off. It keeps nothing itself: the page puts its files into the cache
// (src/offline.ts) when all of them have come, so what is there is one whole version.

/** A network that does not answer for so long counts as off. */
const MOST_SILENT_MS = 4000;

// A page that runs holds everything it needs in memory: another version may take over at once.
self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || !request.url.startsWith(self.registration.scope)) return;
  event.respondWith(request.mode === 'navigate' || request.url === self.registration.scope ? newest(request) : cached(request));
});

/** The page itself from the network if there is one, so that a new version comes with the next visit. */
async function newest(request) {
  try {
    const response = await fetch(request, { signal: AbortSignal.timeout(MOST_SILENT_MS) });
    if (response.ok) return response;
    return (await kept(request)) ?? response;
  } catch (error) {
    const page = await kept(request);
    if (page) return page;
    throw error;
  }
}

/** Its other files are named by their contents: the cached one is the right one. */
async function cached(request) {
  return (await caches.match(request)) ?? fetch(request);
}

async function kept(request) {
  return caches.match(request.url.endsWith('/index.html') ? self.registration.scope : request, { ignoreSearch: true });
}
