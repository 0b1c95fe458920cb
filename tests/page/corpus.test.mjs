// Everything that real files do: the page's decoding in Chromium and the native command, against FFmpeg's programs.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { FILES, base, path } from '../corpus/files.mjs';
import { openProbe } from '../corpus/probe.mjs';
import { examine } from '../corpus/results.mjs';
import { frames } from '../corpus/truth.mjs';

let probe;
before(async () => (probe = await openProbe()));
after(() => probe.close());

function checkSound({ codec, pixels = true, twice = 0, rejoined }, { truth, page, command }) {
  const whole = { expected: truth.length, decoded: truth.length - twice };
  const notes = (result) => assert.equal(result.notes.length > 0, twice > 0 || result.decoded < result.expected, result.notes.join('; '));
  assert.deepEqual({ expected: command.expected, decoded: command.decoded, missing: command.missing }, { ...whole, missing: twice });
  if (!rejoined && !twice) {
    notes(command);
    assert.ok(command.candidates > 0);
    assert.equal(command.inTime, command.candidates, 'times by the command');
  }
  if (page.refused) {
    assert.ok(codec && /cannot decode/.test(page.refused), page.refused);
    return;
  }
  if (rejoined) {
    assert.ok(page.decoded >= 50 && page.notes.length > 0, JSON.stringify(page));
    return;
  }
  assert.deepEqual({ expected: page.expected, decoded: page.decoded }, whole);
  notes(page);
  assert.equal(page.times, page.decoded, 'times by the page');
  if (pixels) assert.equal(page.pixels, page.decoded, 'planes by the page, bit by bit');
}

/** What is told of a broken file adds up, and what can be decoded is. */
function checkBroken({ least = 0, refused }, result, who) {
  assert.ok(!result.crashed && !result.hung && !result.ended, `${who}: ${JSON.stringify(result)}`);
  if (result.refused || refused) {
    if (refused) assert.match(result.refused ?? '', refused, who);
    assert.match(result.refused, /copy|choose|convert|repair|rewriting/i, `${who} says what to do`);
    return;
  }
  assert.ok(result.decoded >= least, `${who} decodes ${result.decoded} frames, at least ${least} can be`);
  assert.ok(result.decoded <= result.expected, `${who}: ${JSON.stringify(result)}`);
}

for (const [name, file] of Object.entries(FILES)) {
  test(`${name}: ${file.proves}`, async () => {
    const result = await examine(name, probe.probe);
    if (file.broken) {
      checkBroken(file, result.page, 'the page');
      checkBroken(file, result.command, 'the command');
    } else {
      checkSound(file, result);
    }
  });
}

test('a decoder that the browser takes away is replaced, and no frame is lost', async () => {
  const result = await probe.probe(base(), () => {
    const { VideoDecoder } = window;
    let packets = 0;
    window.VideoDecoder = class extends VideoDecoder {
      constructor(callbacks) {
        super(callbacks);
        this.callbacks = callbacks;
      }

      decode(chunk) {
        super.decode(chunk);
        packets += 1;
        if (packets !== 60) return;
        this.close();
        this.callbacks.error(new DOMException('Codec reclaimed due to inactivity.', 'QuotaExceededError'));
      }
    };
  });
  const hashes = (list) => list.map(({ hash }) => hash);
  assert.deepEqual(hashes(result.frames), hashes(frames(base())));
  assert.equal(result.notes.length, 1);
  assert.match(result.notes[0], /reclaimed/);
});

test('only few packets wait for the decoder, as the frames of all of them come whether or not anyone takes them', async () => {
  const result = await probe.probe(base(), () => {
    const { VideoDecoder } = window;
    window.VideoDecoder = class extends VideoDecoder {
      decode(chunk) {
        super.decode(chunk);
        if (this.decodeQueueSize > 4) throw new Error(`${this.decodeQueueSize} packets wait`);
      }
    };
  });
  assert.deepEqual(result.notes, []);
  assert.equal(result.frames.length, frames(base()).length);
});

test('frames that are asked for by their times wait for whoever takes them slowly, also where all are key frames', async () => {
  for (const name of ['h264-all-key.mp4', 'h264-pyramid.mp4']) {
    const { came, most } = await probe.again(path(name));
    assert.equal(came, frames(path(name)).length, name);
    assert.ok(most <= 20, `${name}: ${most} frames at once`);
  }
});
