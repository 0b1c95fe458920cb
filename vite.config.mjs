import { defineConfig } from 'vite';

export default defineConfig({
  root: 'www',
  // Relative addresses: the site works from any folder of any static host.
  base: './',
  build: {
    outDir: '../dist',
    emptyOutDir: true,
    target: 'es2023',
    // Models and wasm stay files of their own, fetched once when the page loads.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 2000,
  },
  worker: { format: 'es' },
  clearScreen: false,
});
