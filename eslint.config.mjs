import js from '@eslint/js';
import ts from 'typescript-eslint';

const node = { console: 'readonly', process: 'readonly', URL: 'readonly', Buffer: 'readonly', setInterval: 'readonly', clearInterval: 'readonly', setTimeout: 'readonly', clearTimeout: 'readonly' };
const page = { performance: 'readonly', Blob: 'readonly', Worker: 'readonly', self: 'readonly', document: 'readonly', window: 'readonly', MutationObserver: 'readonly', Image: 'readonly', createImageBitmap: 'readonly', fetch: 'readonly', crossOriginIsolated: 'readonly', TextDecoder: 'readonly', Event: 'readonly', navigator: 'readonly', location: 'readonly', DOMException: 'readonly' };

export default ts.config(
  { ignores: ['dist', 'lib', 'target', 'npm/wasm', 'node_modules', '.cache'] },
  js.configs.recommended,
  {
    files: ['www/src/**/*.ts', 'npm/**/*.ts'],
    extends: [...ts.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
    },
  },
  {
    // The page takes of the package what everybody can.
    files: ['www/src/**/*.ts'],
    rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns: [{ group: ['**/npm/**'], message: "Take it from 'framesift'." }] }] },
  },
  { files: ['www/public/*.js'], languageOptions: { globals: { self: 'readonly', caches: 'readonly', fetch: 'readonly', URL: 'readonly', setTimeout: 'readonly' } } },
  { files: ['**/*.mjs'], languageOptions: { globals: { ...node, ...page } } },
);
