// Runs the page's decoding on files of the corpus, in Chromium.
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { launch } from '../../scripts/lib/browser.mjs';
import { serve } from '../../scripts/lib/serve.mjs';
import { ROOT } from '../../scripts/lib/tools.mjs';

/** A file that takes longer than this hangs. */
const MOST_MS = 60_000;

/**
 * Opens a browser that decodes as the page does; `probe(file)` returns what `probe.ts` says, or `{ hung: true }`.
 * `prepare` runs in the page before; `again(file)` the same for frames that are asked for by their times.
 */
export async function openProbe() {
  const { build } = await import('vite');
  const outDir = join(ROOT, '.cache', 'probe');
  await build({
    root: fileURLToPath(new URL('.', import.meta.url)),
    configFile: false,
    logLevel: 'error',
    base: './',
    build: { outDir, emptyOutDir: true, target: 'es2023', rollupOptions: { input: fileURLToPath(new URL('probe.html', import.meta.url)) } },
  });
  const server = await serve({ '/': outDir });
  const browser = await launch();
  // A page each: what one file does to a decoder must not be another's excuse.
  const run = async (file, task, prepare = () => undefined) => {
    const page = await browser.newPage();
    try {
      await page.goto(`${server.origin}/probe.html`);
      await page.waitForFunction(() => 'probe' in window);
      await page.evaluate(prepare);
      await page.locator('input').setInputFiles(file);
      const hung = new Promise((resolve) => setTimeout(resolve, MOST_MS, { hung: true }).unref());
      return await Promise.race([page.locator('input').evaluate(task), hung]);
    } finally {
      await page.close();
    }
  };
  return {
    probe: (file, prepare) => run(file, (input) => window.probe(input.files[0]), prepare),
    again: (file) => run(file, (input) => window.again(input.files[0])),
    async close() {
      await browser.close();
      await server.close();
    },
  };
}
