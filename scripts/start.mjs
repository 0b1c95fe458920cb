// `npm start`: sets up what is missing, builds, serves the page.
import { join } from 'node:path';
import { build } from './build.mjs';
import { serve } from './lib/serve.mjs';
import { ROOT, SetupError, main } from './lib/tools.mjs';

const PORT = 4173;

await main(async () => {
  await build();
  try {
    const { origin } = await serve({ '/': join(ROOT, 'dist') }, PORT);
    console.log(`\nframesift is ready: ${origin}  (Ctrl+C ends it)`);
  } catch (error) {
    if (error.code !== 'EADDRINUSE') throw error;
    throw new SetupError(`Port ${PORT} is in use: framesift may be running already at http://localhost:${PORT}`);
  }
});
