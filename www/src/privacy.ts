/**
 * Adds a second policy on top of the page's own: from now on neither the page
 * nor any worker it starts can open a connection, not even to its own server.
 * Policies only ever tighten, so no code can take this back.
 */
export function lockNetwork(): void {
  const policy = document.createElement('meta');
  policy.httpEquiv = 'Content-Security-Policy';
  policy.content = "default-src 'none'; img-src blob: data:; manifest-src data:; script-src 'wasm-unsafe-eval' blob:; worker-src blob:";
  document.head.append(policy);
}
