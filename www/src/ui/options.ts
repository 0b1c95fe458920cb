/** The options form. */

import { MAX_WORKERS } from '../engine';
import { DEFAULT_OPTIONS, type DetectorName, type FacesMode, type Options } from '../manifest';
import { h } from './dom';

export interface OptionsForm {
  element: HTMLFormElement;
  read(): Options;
  /** Options that only a new scan can change are fixed after it. */
  setScanned(scanned: boolean): void;
}

/** `onChange` comes with every valid change. */
export function optionsForm(onChange: (options: Options) => void): OptionsForm {
  const number = (name: string, value: number, min: number, max: number, step = 1) =>
    h('input', { type: 'number', id: `option-${name}`, name, value, min, max, step, required: true, inputmode: 'numeric' });
  const budget = number('budget', DEFAULT_OPTIONS.budget, 1, 100000);
  const similarity = number('similarity', DEFAULT_OPTIONS.similarity, 0, 1, 0.01);
  const batch = number('batch', DEFAULT_OPTIONS.batch, 1, 500);
  const workers = number('workers', DEFAULT_OPTIONS.workers, 1, MAX_WORKERS);
  const embeddings = h('input', { type: 'checkbox', id: 'option-embeddings', name: 'embeddings' });
  const faces = h(
    'select',
    { id: 'option-faces', name: 'faces' },
    h('option', { value: 'prefer', selected: true }, 'Prefer frames with good faces'),
    h('option', { value: 'require' }, 'Only frames with a face'),
    h('option', { value: 'ignore' }, 'Ignore faces'),
  );
  const detector = h(
    'select',
    { id: 'option-detector', name: 'detector' },
    h('option', { value: 'default', selected: true }, 'framesift: cuts and transitions'),
    ...(['adaptive', 'content', 'hash', 'hist', 'threshold'] satisfies DetectorName[]).map((name) =>
      h('option', { value: name }, `PySceneDetect: ${name}`),
    ),
  );
  const scanOnly = [batch, workers, detector];

  const field = (input: HTMLElement, label: string, hint: string) => {
    const hintId = `${input.id}-hint`;
    input.setAttribute('aria-describedby', hintId);
    return h(
      'div',
      { class: 'field' },
      h('label', { for: input.id }, label),
      input,
      h('p', { class: 'hint', id: hintId }, hint),
    );
  };

  const element = h(
    'form',
    { class: 'options', novalidate: true, 'aria-label': 'Options' },
    field(budget, 'Frames to keep, at most', 'Fewer are kept where the video has less to show.'),
    field(faces, 'Faces', 'Prefer: people first, other scenes still get a frame.'),
    h(
      'details',
      {},
      h('summary', {}, 'More options'),
      h(
        'div',
        { class: 'options' },
        field(similarity, 'Similarity limit', 'Frames at least this alike count as the same: 1 is identical, 0 unrelated.'),
        field(detector, 'Scenes', 'PySceneDetect\'s detectors cut where version 0.7 cuts with its default settings.'),
        field(batch, 'Frames per batch', 'Decoded together before they are looked at.'),
        field(workers, 'Analysis workers', `At most ${MAX_WORKERS}, and never more than the machine has to spare.`),
        h(
          'div',
          { class: 'field check' },
          embeddings,
          h('label', { for: embeddings.id }, 'Write identity vectors to the manifest'),
          h('p', { class: 'hint' }, 'They are biometric data: whoever has them can recognise the person. Off unless you need them.'),
        ),
      ),
    ),
  );
  const read = (): Options => ({
    ...DEFAULT_OPTIONS,
    budget: budget.valueAsNumber,
    similarity: similarity.valueAsNumber,
    batch: batch.valueAsNumber,
    workers: workers.valueAsNumber,
    faces: faces.value as FacesMode,
    detector: { name: detector.value as DetectorName },
    embeddings: embeddings.checked,
  });
  element.addEventListener('submit', (event) => event.preventDefault());
  element.addEventListener('change', () => {
    if (element.reportValidity()) onChange(read());
  });
  return {
    element,
    read,
    setScanned: (scanned) => scanOnly.forEach((input) => (input.disabled = scanned)),
  };
}
