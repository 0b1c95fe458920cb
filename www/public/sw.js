// Serves the page when the network is off. It keeps nothing itself: the page puts its files into the cache
// (src/offline.ts) when all of them have come, so what is there is one whole version.

/** A network that does not answer for so long counts as off, if there is something in its place. */
const MOST_SILENT_MS = 4000;

// A page that runs holds everything it needs in memory: another version may take over at once.
self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const scope = new URL(self.registration.scope).pathname;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== self.location.origin) return;
  if (pathname === scope || pathname === `${scope}index.html`) event.respondWith(newest(request));
  // Its other files are named by their contents: the cached one is the right one.
  else if (pathname.startsWith(`${scope}assets/`)) event.respondWith(caches.match(request, { ignoreVary: true }).then((kept) => kept ?? fetch(request)));
});

/** The page from the network if there is one, so that a new version comes with the next visit. */
async function newest(request) {
  const kept = await caches.match(self.registration.scope, { ignoreVary: true });
  const asked = fetch(request);
  if (!kept) return asked;
  const late = new Promise((resolve) => setTimeout(resolve, MOST_SILENT_MS));
  const answer = await Promise.race([asked.catch(() => undefined), late]);
  return answer && (answer.ok || answer.type === 'opaqueredirect') ? answer : kept;
}
