// The built page in headless Chromium, driven as a user would, and what it costs.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { serve } from './serve.mjs';
import { ROOT, onPath } from './tools.mjs';

export async function launch(flags = []) {
  const { chromium } = await import('playwright-core');
  const args = ['--disable-background-networking', '--disable-component-update', '--no-first-run', ...flags];
  // Chromium refuses its sandbox to root, which is what containers run as.
  if (process.getuid?.() === 0) args.push('--no-sandbox');
  return chromium.launch({ executablePath: onPath('chromium'), args });
}

/** Opens the built page in a fresh browser profile; ready to take a file. */
export async function openPage(browser, { contextOptions = {}, fragment = '', init } = {}) {
  const server = await serve({ '/': join(ROOT, 'dist') });
  const context = await browser.newContext({ acceptDownloads: true, ...contextOptions });
  const page = await context.newPage();
  const requests = [];
  context.on('request', (request) => requests.push(request.url()));
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  if (init) await page.addInitScript(init);
  await page.goto(`${server.origin}/${fragment}`);
  await page.locator('body:not([data-state="loading"])').waitFor({ timeout: 60_000 });
  return {
    page,
    context,
    server,
    errors,
    /**
     * Starts counting requests to anywhere but the page's own memory; the returned
     * function gives those since. Browser and server are counted apart: the browser
     * also names requests that the page's policy stopped.
     */
    countRequests: () => {
      const seen = () => requests.filter((url) => !/^(blob|data):/.test(url)).length;
      const [browserBefore, serverBefore] = [seen(), server.requests()];
      return () => Math.max(seen() - browserBefore, server.requests() - serverBefore);
    },
    close: async () => {
      await context.close();
      await server.close();
    },
  };
}

/** Sets the options form, fields of the closed part as well, and what is asked beside the result. */
export async function setOptions(page, options = {}) {
  const { format, crops, folders, also = [] } = options;
  for (const [name, value] of Object.entries({ format, crops, folders })) {
    if (value) await page.locator(`#option-${name}`).evaluate((select, chosen) => (select.value = chosen), value);
  }
  for (const [name, value] of Object.entries({ quality: options.quality, 'max-side': options.max_side })) {
    if (value !== undefined) await page.locator(`#option-${name}`).evaluate((input, given) => (input.value = given), String(value));
  }
  for (const name of also) await page.locator(`#also-${name}`).evaluate((box) => (box.checked = true));
  const { budget, faces, detector, sensitivity, batch, similarity, workers, min_face, embeddings } = options;
  await page.locator('.options details').first().evaluate((details) => (details.open = true));
  for (const [name, value] of Object.entries({ budget, batch, similarity, workers, 'min-face': min_face })) {
    if (value !== undefined) await page.locator(`#option-${name}`).fill(String(value));
  }
  if (faces) await page.locator('#option-faces').selectOption(faces);
  if (detector) await page.locator('#option-detector').selectOption(detector);
  if (sensitivity) await page.locator('#option-sensitivity').selectOption(sensitivity);
  if (embeddings) await page.locator('#option-embeddings').check();
}

/** Waits until the page is in one of the states or shows a failure; a failure throws with the page's own words. */
export async function waitForState(page, ...states) {
  const wanted = states.map((state) => `body[data-state="${state}"]`).join(',');
  await page.locator(`${wanted}, #failure:not(:empty)`).first().waitFor({ state: 'attached', timeout: 0 });
  const failure = await page.locator('#failure').innerText();
  if (failure) throw new PageFailure(failure.trim());
}

export class PageFailure extends Error {}

/** Polls the resident memory of the page's renderer process, workers included; `stop` returns the peak in bytes. */
export function watchRendererMemory(samples) {
  let peak = 0;
  const started = Date.now();
  const poll = () => {
    const now = rendererBytes();
    samples?.push({ at_s: (Date.now() - started) / 1000, rss_bytes: now });
    peak = Math.max(peak, now);
  };
  const timer = setInterval(poll, 250);
  return {
    stop: () => {
      clearInterval(timer);
      poll();
      return peak;
    },
  };
}

/** The largest renderer process below this one (Linux; elsewhere 0): the others are Chromium's idle spares. */
function rendererBytes() {
  const children = new Map();
  const renderers = [];
  let ids;
  try {
    ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return 0;
  }
  for (const id of ids) {
    try {
      const parent = /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1];
      children.set(id, parent);
      if (readFileSync(`/proc/${id}/cmdline`, 'utf8').includes('--type=renderer')) renderers.push(id);
    } catch {
      // The process has ended meanwhile.
    }
  }
  const isOurs = (id) => {
    for (let up = id; up && up !== '0'; up = children.get(up)) if (up === String(process.pid)) return true;
    return false;
  };
  const sizes = renderers.filter(isOurs).map((id) => {
    try {
      return 1024 * Number(/^VmRSS:\s*(\d+)/m.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1] ?? 0);
    } catch {
      return 0;
    }
  });
  return Math.max(0, ...sizes);
}
