// `npm run corpus`: what the page and the command make of each file of the corpus, as the table in docs/corpus.md.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FILES } from '../tests/corpus/files.mjs';
import { openProbe } from '../tests/corpus/probe.mjs';
import { examine } from '../tests/corpus/results.mjs';
import { ROOT, ensureFfmpegLibraries, ensureNpmPackages, ensurePrograms, ensureRust, main, onPath, run } from './lib/tools.mjs';

const HEAD = `# The corpus

What real files do, one small file for each, and what comes of it. Made by \`tests/corpus/files.mjs\` with FFmpeg and
by patching bytes, checked by \`tests/page/corpus.test.mjs\`, tabled by \`npm run corpus\`.

*FFmpeg* is the number of frames that its program shows, of broken files with what it makes up. *Page* is the page's
decoding: “all, exact” are all frames, each at its time and with FFmpeg's planes bit by bit. *Command* is
\`framesift extract\`; its planes are compared with FFmpeg's in \`tests/decode.rs\`. Of “a of b”, b is what the
container lists; what is missing is counted and told.
`;

const firstSentence = (text) => text.replaceAll(`${join(ROOT, '.cache', 'corpus')}/`, '').replace(/^framesift: /, '').split(/(?<=\.) |: copy|: choose/)[0];

function cell(result, file, shown, exact) {
  if (result.refused) return `refused: ${firstSentence(result.refused)}`;
  if (result.expected === undefined) return `**${JSON.stringify(result).slice(0, 80)}**`;
  const { expected, decoded } = result;
  if (decoded < expected) return `${decoded} of ${expected}`;
  if (file.broken || decoded !== shown) return `${decoded}`;
  return exact ? 'all, exact' : 'all';
}

async function table() {
  const probe = await openProbe();
  const rows = [];
  try {
    for (const [name, file] of Object.entries(FILES)) {
      const { truth, page, command } = await examine(name, probe.probe);
      const exact = page.times === truth.length && page.pixels === truth.length;
      const cells = [cell(page, file, truth.length, exact), cell(command, file, truth.length, false)];
      rows.push(`| \`${name}\` | ${file.proves} | ${truth.length} | ${cells.join(' | ')} |`);
      console.log(rows.at(-1));
    }
  } finally {
    await probe.close();
  }
  return rows;
}

await main(async () => {
  ensureNpmPackages();
  ensureRust();
  ensureFfmpegLibraries();
  ensurePrograms('chromium', 'ffmpeg', 'ffprobe');
  run('cargo', ['build', '--locked', '--bin', 'framesift']);
  const rows = await table();
  const version = (program, ...args) => spawnSync(onPath(program), args, { encoding: 'utf8' }).stdout.split('\n')[0].replace(/ Copyright.*| built on.*/, '').trim();
  const made = `With ${version('chromium', '--version')} and ${version('ffmpeg', '-version')}.`;
  const text = [HEAD, made, '', '| file | what it proves | FFmpeg | page | command |', '|---|---|---|---|---|', ...rows, ''].join('\n');
  writeFileSync(join(ROOT, 'docs', 'corpus.md'), text);
});
