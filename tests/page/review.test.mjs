// The review after a scan: decisions by hand, people, looking closer, what is saved; and that everyone can use it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PageFailure, waitForState } from '../../scripts/lib/browser.mjs';
import { ROOT } from '../../scripts/lib/tools.mjs';
import { INTO_PRIVATE_FOLDER, choose, download, pageTest, saved, scan } from './harness.mjs';
import { media } from './media.mjs';

const PHOTO = join(ROOT, 'node_modules/@vladmandic/face-api/demo/sample6.jpg');
const AXE = readFileSync(join(ROOT, 'node_modules/axe-core/axe.min.js'), 'utf8');

const kept = (page) => page.locator('.gallery li').evaluateAll((items) => items.map((item) => Number(item.dataset.index)));
const keptCount = (page) => page.locator('#tab-kept').innerText().then((text) => Number(/\d+/.exec(text)[0]));
/** Waits until the page shows another choice. */
const chosenAgain = async (page, act) => {
  const before = await page.evaluate(() => document.body.dataset.choices);
  await act();
  await page.waitForFunction((n) => document.body.dataset.choices !== n, before);
};

/** No violations of WCAG 2.2 A and AA by axe. */
async function assertAccessible(page, state) {
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => {
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    const { violations } = await window.axe.run(document, { runOnly: tags });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ')}`);
  });
  assert.deepEqual(violations, [], `axe, ${state}`);
}

pageTest('frames are left out and kept by keyboard, and it can be taken back', async ({ page }) => {
  await scan(page, media('people.mp4'), { budget: 8 });
  const before = await kept(page);
  await page.locator('.gallery .picture').first().focus();
  await page.keyboard.press('ArrowRight');
  await chosenAgain(page, () => page.keyboard.press('x'));
  assert.ok(!(await kept(page)).includes(before[1]), 'it is left out');
  assert.equal(await page.locator('#undo').getAttribute('aria-disabled'), 'false');
  // What is free now may go to another frame; what was decided holds for it.
  await page.locator('#tab-left-out').click();
  const left = page.locator(`.gallery-left-out li[data-index="${before[1]}"]`);
  assert.match(await left.textContent(), /Decided by you/);
  // Another one that the choice had left out is kept.
  const other = page.locator('.gallery-left-out li:not(.decided)').first();
  const index = Number(await other.getAttribute('data-index'));
  await chosenAgain(page, () => other.locator('.decide').click());
  const { manifest } = await download(page);
  assert.deepEqual(manifest.options.edits, { include: [index], exclude: [before[1]] });
  assert.ok(manifest.frames.some((frame) => frame.index === index));
  assert.equal(manifest.rejected.find((frame) => frame.index === before[1]).reason, 'by_hand');
  await chosenAgain(page, () => page.keyboard.press('Control+z'));
  await chosenAgain(page, () => page.keyboard.press('Control+z'));
  await page.locator('#tab-kept').click();
  assert.deepEqual(await kept(page), before, 'both are taken back');
  await chosenAgain(page, () => page.keyboard.press('Control+Shift+z'));
  assert.ok(!(await kept(page)).includes(before[1]), 'and made again');
});

pageTest('many scenes and frames are one stop of the Tab key each, and arrow keys walk over them', async ({ page }) => {
  await scan(page, media('people.mp4'), { budget: 8 });
  const stops = (within) => page.locator(`${within} button:not([tabindex="-1"])`).count();
  assert.deepEqual([await stops('.blocks'), await stops('.gallery')], [1, 2], 'a scene, and a frame with its decision');
  await page.locator('.timeline-box:visible .blocks button').first().focus();
  await page.keyboard.press('ArrowRight');
  const focused = () => page.evaluate(() => document.activeElement.getAttribute('aria-label'));
  const second = await focused();
  assert.equal(second, await page.locator('.timeline-box:visible .blocks button').nth(1).getAttribute('aria-label'));
  await page.keyboard.press('Tab');
  assert.notEqual(await focused(), await page.locator('.timeline-box:visible .blocks button').nth(2).getAttribute('aria-label'));
  await page.keyboard.press('Shift+Tab');
  assert.equal(await focused(), second, 'where it was left');
  await page.locator('.gallery .picture').nth(3).focus();
  assert.equal(await stops('.gallery'), 2);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'decide');
});

pageTest('a slider chooses while it is pulled, and counts as one change', async ({ page }) => {
  await scan(page, media('people.mp4'));
  const all = await keptCount(page);
  const slider = page.locator('.with-slider input[type="range"]').first();
  for (const value of ['6', '4', '3']) await slider.evaluate((input, v) => { input.value = v; input.dispatchEvent(new Event('input', { bubbles: true })); }, value);
  await page.waitForFunction(() => document.querySelectorAll('.gallery li').length === 3);
  // What it has left out since it was taken is shown beside it, with the reasons.
  const gone = await page.locator('.changes .hint').allInnerTexts();
  const numbers = gone.filter((text) => text.includes(':')).map((text) => Number(/^\d+/.exec(text)[0]));
  assert.equal(numbers.reduce((sum, n) => sum + n, 0), Number(/Just left out: (\d+)/.exec(await page.locator('#changes-title').innerText())[1]));
  assert.ok(numbers.length > 0 && numbers.reduce((sum, n) => sum + n, 0) >= all - 3);
  // It does not cover what is being pulled.
  const [end, top] = await Promise.all([
    page.locator('#option-budget').evaluate((input) => (input.focus(), input.getBoundingClientRect().bottom)),
    page.locator('.changes').evaluate((strip) => strip.getBoundingClientRect().top),
  ]);
  assert.ok(end <= top, `${end} and ${top}`);
  await slider.evaluate((input) => input.dispatchEvent(new Event('change', { bubbles: true })));
  assert.equal(await page.locator('#option-budget').inputValue(), '3');
  await page.locator('.changes li button').first().click();
  await page.locator('dialog.viewer[open]').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#undo').click();
  await page.waitForFunction((n) => document.querySelectorAll('.gallery li').length === n, all);
  assert.equal(await page.locator('#option-budget').inputValue(), '500');
  assert.ok(await page.locator('.changes').isHidden());
});

pageTest('people are named, joined and picked, and files sorted by them', async ({ page }) => {
  await scan(page, media('people.mp4'), { budget: 20 });
  const cards = page.locator('.people li[data-person]');
  const number = await cards.count();
  const [first, second] = await cards.evaluateAll((items) => items.map((item) => Number(item.dataset.person)));
  await page.locator(`#person-${first}-name`).fill('Ada / "Lovelace"');
  await page.locator(`#person-${first}-name`).press('Enter');
  await page.waitForFunction(() => document.querySelector('.gallery .box span').innerText !== '');
  await page.locator(`#person-${second}-same`).focus();
  await page.locator(`#person-${second}-same`).selectOption(String(first));
  await page.waitForFunction((n) => document.querySelectorAll('.people li[data-person]').length === n - 1, number);
  await chosenAgain(page, () => page.locator(`#person-${first}-only`).check());
  await page.locator('#export-title ~ details summary').click();
  await page.locator('#option-folders').selectOption('person');
  await page.locator('#also-csv').check();
  const { entries, manifest } = await download(page);
  assert.deepEqual(manifest.options.edits.only_people, [first]);
  assert.ok(manifest.frames.length > 0);
  for (const frame of manifest.frames) assert.ok(frame.faces.some((face) => face.person === first), `frame ${frame.index} shows her`);
  assert.ok(manifest.frames.every((frame) => frame.faces.every((face) => face.person !== second)), 'the second is the first');
  const her = manifest.people.find((person) => person.id === first);
  assert.equal(her.name, 'Ada / "Lovelace"');
  assert.match(her.best, /^faces\/Ada _ _Lovelace_\//, 'a name is no path');
  assert.ok(entries.has(her.best));
  assert.match(entries.get('faces.csv').toString('utf8'), /"Ada \/ ""Lovelace"""/);
  // Apart again.
  await page.locator('.joins button').click();
  await page.waitForFunction(() => document.querySelectorAll('.joins li').length === 0);
  // Who joins someone without a name brings theirs.
  const third = Number(await cards.nth(2).getAttribute('data-person'));
  await chosenAgain(page, () => page.locator('.looking button').click());
  await chosenAgain(page, async () => {
    await page.locator(`#person-${second}-name`).fill('Grace');
    await page.locator(`#person-${second}-name`).press('Enter');
  });
  await page.locator(`#person-${second}-same`).focus();
  await chosenAgain(page, () => page.locator(`#person-${second}-same`).selectOption(String(third)));
  assert.equal(await page.locator(`#person-${third}-name`).inputValue(), 'Grace');
});

pageTest('someone who is two people is split, and it can be taken back', async ({ page }) => {
  await scan(page, media('people.mp4'), { budget: 20 });
  const names = () => page.locator('.people .name').evaluateAll((fields) => fields.map((field) => field.placeholder));
  const before = await names();
  await chosenAgain(page, () => page.locator('#person-0-split').click());
  assert.ok((await names()).includes('Person 1b'), 'the second one is called after the first');
  await chosenAgain(page, async () => {
    await page.locator('#person-1000-name').fill('Grace');
    await page.locator('#person-1000-name').press('Enter');
  });
  const { manifest } = await download(page);
  assert.deepEqual(manifest.options.edits, { people: [{ id: 1000, name: 'Grace' }], split: [0] });
  const [first, second] = [0, 1000].map((person) => manifest.frames.filter((frame) => frame.faces.some((face) => face.person === person)).length);
  assert.ok(first >= second && second > 0, `${first} and ${second} frames`);
  assert.equal(manifest.people.find(({ id }) => id === 1000).name, 'Grace');
  await chosenAgain(page, () => page.locator('#undo').click());
  await chosenAgain(page, () => page.locator('#undo').click());
  assert.deepEqual(await names(), before);
});

pageTest('someone is found by a photo of them', async ({ page }) => {
  await scan(page, media('people.mp4'), { budget: 20 });
  await page.locator('#reference').setInputFiles(PHOTO);
  await page.locator('.looking p').waitFor();
  const { manifest } = await download(page);
  assert.deepEqual(manifest.options.reference, ['sample6.jpg']);
  assert.ok(manifest.frames.length > 0);
  for (const frame of manifest.frames) {
    assert.ok([0, 3].includes(frame.scene), `scene ${frame.scene} shows the people of that photo`);
    assert.ok(Math.max(...frame.faces.map((face) => face.reference_cosine)) > 0.4);
  }
  assert.ok(manifest.rejected.some((frame) => frame.reason === 'other_person'));
  await chosenAgain(page, () => page.locator('.looking button').click());
  // A picture without a face is refused in words, and nothing else changes.
  const before = await keptCount(page);
  await page.locator('#reference').setInputFiles({ name: 'x.png', mimeType: 'image/png', buffer: Buffer.from('no picture') });
  const failure = await waitForState(page, 'nowhere').catch((error) => error);
  assert.ok(failure instanceof PageFailure && /no picture/.test(failure.message), String(failure));
  assert.equal(await keptCount(page), before);
});

pageTest('frames with someone are left out, by a click or by a photo of them', async ({ page }) => {
  await scan(page, media('people.mp4'), { budget: 20 });
  const shown = ({ frames }) => new Set(frames.flatMap((frame) => frame.faces.map((face) => face.person)));
  const first = Number(await page.locator('.people li').first().getAttribute('data-person'));
  await chosenAgain(page, () => page.locator(`#person-${first}-without`).click());
  assert.equal(await page.locator(`.people li[data-person="${first}"]`).count(), 0);
  const { manifest } = await download(page);
  assert.deepEqual(manifest.options.edits.without_people, [first]);
  assert.ok(manifest.frames.length > 0 && !shown(manifest).has(first));
  assert.ok(manifest.rejected.some(({ reason }) => reason === 'unwanted_person'));
  // It is said, and taken back beside it.
  await chosenAgain(page, () => page.locator('.looking button').click());
  assert.equal(await page.locator(`.people li[data-person="${first}"]`).count(), 1);
  await chosenAgain(page, () => page.locator('#avoid').setInputFiles(PHOTO));
  const { manifest: others } = await download(page);
  assert.deepEqual(others.options.avoid, ['sample6.jpg']);
  // That photo is seen in the first and the fourth scene.
  const left = others.rejected.filter(({ reason }) => reason === 'unwanted_person');
  const sceneOf = ({ index }) => others.scenes.findLast(({ start_frame }) => start_frame <= index).index;
  assert.ok(left.length > 0 && left.every((frame) => [0, 3].includes(sceneOf(frame))));
  const faces = others.frames.flatMap((frame) => frame.faces);
  assert.ok(faces.length > 0 && faces.every((face) => face.avoid_cosine < 0.45));
  // How unlike they are is told beside the frame.
  await page.locator('.gallery .picture').first().click();
  await page.locator('dialog.viewer li', { hasText: 'like who is left out' }).first().waitFor();
});

pageTest('the timeline shows where faces are, and how many', async ({ page }) => {
  await scan(page, media('people.mp4'), { budget: 5 });
  const heights = () => page.locator('#done .timeline .faces').evaluate(({ style }) => [...style.clipPath.matchAll(/% ([\d.]+)%/g)].map(([, top]) => 100 - Number(top)).slice(1, -1));
  const all = await heights();
  // The scenes have three or four people.
  assert.ok(all.length === 400 && all.every((height) => height > 0) && new Set(all).size > 1, JSON.stringify(all));
  await chosenAgain(page, () => page.locator('#option-min-face').fill('9999'));
  assert.ok((await heights()).every((height) => height === 0));
});

pageTest('pictures have the format, the quality and the size that were chosen', async ({ page }) => {
  await scan(page, media('people.mp4'), { budget: 3 });
  await page.locator('#export-title ~ details summary').click();
  await page.locator('#option-format').selectOption('webp');
  const all = await download(page);
  await page.locator('#option-quality').fill('30');
  await page.locator('#option-max-side').fill('9');
  await page.locator('#option-max-side').press('Tab');
  assert.match(await page.locator('#hint-max-side').innerText(), /Until then frames have their full size/);
  await page.locator('#option-max-side').fill('320');
  await page.locator('#also-coco').check();
  const small = await download(page);
  assert.deepEqual([small.manifest.options.quality, small.manifest.options.max_side_px], [30, 320]);
  assert.match(await page.evaluate(() => location.hash), /format=webp&quality=30&max-side=320/);
  const size = async (file) => page.evaluate(async (bytes) => {
    const { width, height } = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
    return [width, height];
  }, [...file]);
  const { file, faces } = small.manifest.frames[0];
  const webp = small.entries.get(file);
  assert.deepEqual([webp.toString('latin1', 0, 4), webp.toString('latin1', 8, 12)], ['RIFF', 'WEBP']);
  assert.deepEqual(await size(webp), [320, 180]);
  assert.deepEqual(await size(all.entries.get(file)), [640, 360]);
  // Faces are cut out of the whole frame, only with less quality.
  const [before, after] = [all, small].map(({ entries }) => entries.get(faces[0].crop));
  assert.deepEqual(await size(after), await size(before));
  assert.ok(after.length < 0.7 * before.length, `${after.length} of ${before.length} bytes`);
  // Places are those of the file.
  const { images, annotations } = JSON.parse(small.entries.get('coco.json').toString('utf8'));
  assert.deepEqual([images[0].width, images[0].height], [320, 180]);
  assert.ok(Math.abs(annotations[0].bbox[0] - faces[0].bbox[0] / 2) < 1e-3);
});

pageTest('a frame is looked at closely, and one beside it kept instead', async ({ page }) => {
  await scan(page, media('people.mp4'), { budget: 5 });
  const before = await kept(page);
  const opener = page.locator('.gallery .picture').nth(2);
  await opener.click();
  page.on('dialog', (dialog) => void dialog.accept());
  const viewer = page.locator('dialog.viewer');
  await page.locator(`dialog[data-full="${before[2]}"]`).waitFor();
  const size = await viewer.locator('.stage img').evaluate(async (img) => (await img.decode(), [img.naturalWidth, img.naturalHeight]));
  assert.deepEqual(size, [640, 360], 'at full size');
  assert.ok((await viewer.locator('.point').count()) >= 5, 'with its points');
  await page.keyboard.press('.');
  await page.locator(`dialog[data-full="${before[2] + 1}"]`).waitFor();
  await chosenAgain(page, () => page.keyboard.press('x'));
  await page.waitForFunction(() => document.querySelector('#viewer-decide').innerText === 'Leave out');
  await page.keyboard.press('ArrowLeft');
  await page.locator(`dialog[data-full="${before[2]}"], dialog[data-full="${before[1]}"]`).waitFor();
  await page.keyboard.press('Escape');
  assert.equal(await viewer.evaluate((dialog) => dialog.open), false);
  const { manifest } = await download(page);
  assert.deepEqual(manifest.options.edits.include, [before[2] + 1]);
  const frame = manifest.frames.find((one) => one.index === before[2] + 1);
  assert.ok(frame?.faces.length > 0, 'its faces were found as well');
});

pageTest('a frame in a transition is pictured when it is shown, and looked at when it is kept', async ({ page }) => {
  await scan(page, media('dissolve.mp4'), { budget: 10 });
  await page.locator('#tab-left-out').click();
  const cards = page.locator('section.group', { has: page.getByRole('heading', { name: /transition/ }) }).locator('li');
  const indices = await cards.evaluateAll((items) => items.map((item) => Number(item.dataset.index)));
  const index = indices.find((one) => one > 25 && one < 35);
  assert.ok(index !== undefined, `of the dissolve there is ${indices}`);
  const card = page.locator(`.gallery-left-out li[data-index="${index}"]`);
  await card.locator('img:not([src=""])').waitFor();
  await chosenAgain(page, () => card.locator('.decide').click());
  const { manifest } = await download(page);
  assert.ok(manifest.frames.find((frame) => frame.index === index).faces.length > 0, 'its faces are there');
});

pageTest('a folder gets the same as the ZIP, in the formats that were chosen', async ({ page, context }) => {
  await scan(page, media('people.mp4'), { budget: 4 });
  await page.locator('#export-title ~ details summary').click();
  await page.locator('#option-format').selectOption('png');
  await page.locator('#option-crops').selectOption('arcface112');
  await page.locator('#option-folders').selectOption('scene');
  for (const name of ['imagefolder', 'coco', 'yolo', 'csv', 'contact']) await page.locator(`#also-${name}`).check();
  await page.locator('#option-names').fill('{scene}');
  await page.locator('#option-names').press('Tab');
  assert.match(await page.locator('#hint-names').innerText(), /could be called the same/);
  await page.locator('#option-names').fill('{video}-{index}');
  await page.locator('#option-names').press('Tab');
  await page.waitForFunction(() => /4[0-9]? files|[0-9]+ files/.test(document.querySelector('#estimate').innerText));
  const estimate = Number(/([\d,]+) files/.exec(await page.locator('#estimate').innerText())[1].replace(',', ''));
  const { entries, manifest } = await download(page);
  assert.equal(entries.size, estimate, 'as many files as were promised');
  assert.match(manifest.frames[0].file, /^frames\/scene_001\/people-\d{6}\.png$/);
  const png = entries.get(manifest.frames[0].file);
  assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [640, 360]);
  const face = entries.get(manifest.frames.flatMap((frame) => frame.faces)[0].crop);
  assert.deepEqual([face.readUInt32BE(16), face.readUInt32BE(20)], [112, 112]);
  const coco = JSON.parse(entries.get('coco.json').toString('utf8'));
  assert.equal(coco.images.length, 4);
  assert.ok(entries.has(manifest.frames[0].file.replace('.png', '.txt')));
  assert.deepEqual([...entries.get('contact.jpg').subarray(0, 2)], [0xff, 0xd8]);
  await page.locator('#save-folder').click();
  await page.waitForFunction(() => /saved to the folder “people-framesift”/.test(document.querySelector('#saved').textContent));
  const names = await page.evaluate(async () => {
    const walk = async (folder, path) => {
      const names = [];
      for await (const [name, entry] of folder) names.push(...(entry.kind === 'directory' ? await walk(entry, `${path}${name}/`) : [`${path}${name}`]));
      return names;
    };
    const out = await (await navigator.storage.getDirectory()).getDirectoryHandle('out');
    return walk(await out.getDirectoryHandle('people-framesift'), '');
  });
  assert.deepEqual(names.sort(), [...entries.keys()].sort());
  // A second time it is another folder, so that nothing is overwritten.
  await page.locator('#save-folder').click();
  await page.waitForFunction(() => /people-framesift-2/.test(document.querySelector('#saved').textContent));
  assert.equal((await context.pages()).length, 1);
}, INTO_PRIVATE_FOLDER);

pageTest('a set that was saved brings its options and decisions back', async ({ page }) => {
  const file = media('people.mp4');
  await scan(page, file, { budget: 8, faces: 'require', crops: 'arcface112', also: ['csv'] });
  const before = await kept(page);
  await chosenAgain(page, async () => {
    await page.locator(`.gallery li[data-index="${before[2]}"] .picture`).focus();
    await page.keyboard.press('x');
  });
  // One that the scan had not thought of is kept.
  await page.locator('.gallery .picture').first().click();
  await page.locator('dialog[data-full]').waitFor();
  await page.keyboard.press('.');
  await chosenAgain(page, () => page.keyboard.press('x'));
  await page.keyboard.press('Escape');
  const [person] = await page.locator('.people li[data-person]').evaluateAll((items) => items.map((item) => Number(item.dataset.person)));
  await chosenAgain(page, async () => {
    await page.locator(`#person-${person}-name`).fill('Ada');
    await page.locator(`#person-${person}-name`).press('Enter');
  });
  const { entries, manifest } = await download(page);
  const upload = (name, buffer) => page.locator('#file').setInputFiles({ name, mimeType: 'application/json', buffer });
  await page.reload();
  await page.locator('body[data-state="idle"]').waitFor();
  await upload('notes.json', Buffer.from('{"a": 1}'));
  await page.locator('#failure:not(:empty)').waitFor();
  assert.match(await page.locator('#failure').innerText(), /“notes\.json” cannot be read: it is no manifest of framesift/);
  await upload('manifest.json', entries.get('manifest.json'));
  await page.locator('#note:visible').waitFor();
  assert.match(await page.locator('#note').innerText(), /set from “people\.mp4” are back/);
  assert.equal(await page.locator('#failure').innerText(), '');
  await choose(page, file);
  await page.locator('#start').click();
  await waitForState(page, 'done');
  const again = await download(page);
  assert.deepEqual({ ...again.manifest, timings_s: undefined }, { ...manifest, timings_s: undefined });
  assert.deepEqual([...again.entries.keys()].sort(), [...entries.keys()].sort());
  // Another video takes the options only.
  await page.reload();
  await page.locator('body[data-state="idle"]').waitFor();
  await upload('manifest.json', entries.get('manifest.json'));
  await choose(page, media('vp9.webm'));
  await page.locator('#start').click();
  await waitForState(page, 'done');
  assert.match(await page.locator('#note').innerText(), /belong to “people\.mp4”, which this is not/);
  assert.equal((await download(page)).manifest.options.edits, undefined);
});

pageTest('a scan pauses and goes on', async ({ page }) => {
  await choose(page, media('long.mp4'));
  await page.locator('#start').click();
  await page.locator('.strip canvas').nth(2).waitFor({ state: 'attached' });
  const done = () => page.locator('.progress-text').innerText().then((text) => Number(/([\d,]+) of/.exec(text)[1].replace(',', '')));
  await page.locator('#pause').click();
  // What is under way ends first.
  await page.waitForTimeout(1500);
  const paused = await done();
  await page.waitForTimeout(1000);
  assert.equal(await done(), paused, 'nothing moves');
  assert.match(await page.locator('.progress-text').innerText(), /Paused/);
  assert.ok((await page.locator('.timeline .mark.found').count()) > 0, 'what was found is on the timeline');
  await page.locator('#pause').click();
  await page.waitForFunction((n) => Number(/([\d,]+) of/.exec(document.querySelector('.progress-text').innerText)?.[1].replace(',', '')) > n, paused);
  await page.locator('#cancel').click();
  await waitForState(page, 'ready');
});

pageTest('options come from a link, and go to the command', async ({ page }) => {
  assert.equal(await page.locator('#option-budget').inputValue(), '33');
  assert.equal(await page.locator('#option-faces').inputValue(), 'require');
  assert.equal(await page.locator('#option-similarity').inputValue(), '0.8', 'nonsense is passed over');
  assert.deepEqual([await page.locator('#option-format').inputValue(), await page.locator('#option-crops').inputValue()], ['png', 'loose']);
  assert.equal(await page.locator('script').count(), 1, 'and nothing of it becomes part of the page');
  await choose(page, media('vp9.webm'));
  await page.locator('#option-budget').fill('12');
  assert.match(await page.evaluate(() => location.hash), /budget=12/);
  const config = await saved(page, '#save-config');
  const program = join(ROOT, 'target', 'debug', 'framesift');
  const out = execFileSync(program, ['extract', media('vp9.webm'), '--out', '/nowhere', '--config', config, '--dry-run'], { encoding: 'utf8' });
  assert.match(out, /vp9\.webm/);
  assert.match(readFileSync(config, 'utf8'), /^budget = 12\nfaces = "require"$/m);
  assert.match(readFileSync(config, 'utf8'), /^format = "png"\nquality = 80\nmax-side = 1024\n[^]*^also = \["coco", "csv"\]$/m);
}, { fragment: '#budget=33&faces=require&similarity=%3Cscript%3E&gates=x&format=png&crops=huge&also=csv+coco&quality=80&max-side=1024' });

for (const colorScheme of ['light', 'dark']) {
  pageTest(`everyone can use it: axe finds nothing, ${colorScheme}`, async ({ page }) => {
    await assertAccessible(page, 'idle');
    await page.locator('#privacy summary').click();
    await assertAccessible(page, 'privacy');
    await page.locator('#privacy summary').click();
    await choose(page, media('people.mp4'));
    await page.locator('.options details').first().evaluate((details) => (details.open = true));
    await assertAccessible(page, 'ready');
    await page.locator('#start').click();
    await page.locator('.strip canvas').first().waitFor({ state: 'attached' });
    await assertAccessible(page, 'running');
    await waitForState(page, 'done');
    await page.locator('#export-title ~ details summary').click();
    await assertAccessible(page, 'done');
    await page.locator('#tab-left-out').click();
    await assertAccessible(page, 'left out');
    await page.locator('.gallery-left-out .picture').first().click();
    await page.locator('dialog[data-full]').waitFor();
    await assertAccessible(page, 'viewer');
    await page.keyboard.press('Escape');
    await page.locator('#file').setInputFiles(media('text.mp4'));
    await page.locator('#failure p').first().waitFor();
    await assertAccessible(page, 'failure');
    assert.equal(await page.locator('#done').isVisible(), true, 'a file that cannot be opened does not cost the result');
    for (const width of [360, 1024, 3840]) {
      await page.setViewportSize({ width, height: 800 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(wide, 0, `nothing sticks out at ${width} pixels`);
    }
  }, { contextOptions: { colorScheme } });
}
