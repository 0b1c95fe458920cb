import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

/** The page, into dist/. */
const page = {
  root: 'www',
  // It uses the package as anybody would.
  resolve: { alias: { framesift: path('npm/index.ts') } },
  build: { outDir: '../dist' },
};

/** The npm package, into lib/: a module with its workers inside, and the files that it fetches beside it. */
const library = {
  publicDir: false,
  build: {
    outDir: 'lib',
    // Whoever bundles it makes it small; the workers inside are text to them.
    minify: false,
    rolldownOptions: {
      input: path('npm/index.ts'),
      preserveEntrySignatures: 'strict',
      output: {
        entryFileNames: 'framesift.js',
        chunkFileNames: '[name].js',
        assetFileNames: assetName,
        // The workers in a file of their own: who only wants options and types leaves it behind.
        codeSplitting: { groups: [{ name: 'manifest', test: /npm\/manifest/, priority: 1 }, { name: 'engine', test: /npm\/(?!index)/ }] },
      },
    },
  },
};

/** The wasm builds are called the same, in folders of their own. */
function assetName({ originalFileNames: [file = ''] }) {
  const [, variant] = /wasm\/([^/]+)\/[^/]+\.wasm$/.exec(file) ?? [];
  return variant ? `framesift.${variant}.wasm` : '[name][extname]';
}

export default defineConfig(({ mode }) => {
  const { build, ...rest } = mode === 'library' ? library : page;
  const names = mode === 'library' ? { assetFileNames: assetName } : {};
  return {
    ...rest,
    // Relative addresses: the files work from any folder of any static host.
    base: './',
    build: {
      ...build,
      emptyOutDir: true,
      target: 'es2023',
      // Models and wasm stay files of their own, fetched once.
      assetsInlineLimit: 0,
      chunkSizeWarningLimit: 2000,
    },
    worker: { format: 'es', rolldownOptions: { output: { minify: true, ...names } } },
    clearScreen: false,
  };
});
