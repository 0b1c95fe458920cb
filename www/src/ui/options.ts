/** The options form. */

import { MAX_WORKERS } from '../engine';
import { DEFAULT_OPTIONS, type DetectorName, FLAGS, type FacesMode, type Flag, type Options, type Sensitivity } from '../manifest';
import { h } from './dom';

export interface OptionsForm {
  element: HTMLFormElement;
  read(): Options;
  /** Options that only a new scan can change are fixed after it. */
  setScanned(scanned: boolean): void;
}

const FLAG_TEXT: Record<Flag, string> = {
  small: 'too small to tell',
  blurred: 'blurred',
  profile: 'turned to a side',
  dark: 'too dark',
  bright: 'too bright',
  truncated: 'cut by the border',
};

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
  const threshold = h('input', {
    type: 'number',
    id: 'option-threshold',
    name: 'threshold',
    min: 0,
    step: 'any',
    inputmode: 'decimal',
    placeholder: 'default',
  });
  const sensitivity = h(
    'select',
    { id: 'option-sensitivity', name: 'sensitivity' },
    h('option', { value: 'low' }, 'Low: only clear changes'),
    h('option', { value: 'normal', selected: true }, 'Normal'),
    h('option', { value: 'high' }, 'High: subtle changes too'),
  );
  const minFace = number('min-face', DEFAULT_OPTIONS.min_face_px, 0, 10000);
  const gates = FLAGS.map((flag) => {
    const checked = DEFAULT_OPTIONS.face_gates.includes(flag);
    const input = h('input', { type: 'checkbox', id: `option-gate-${flag}`, name: 'gate', value: flag, checked });
    return { flag, input };
  });
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

  const sensitivityField = field(sensitivity, 'Sensitivity', 'How much a change must stand out to begin a scene.');
  const thresholdField = field(threshold, 'Threshold', 'Lower finds more scenes. Empty: the detector’s default.');
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
        sensitivityField,
        thresholdField,
        field(minFace, 'Smallest face', 'Longer side of its box, in pixels of the video.'),
        h(
          'fieldset',
          { class: 'field checks' },
          h('legend', {}, 'Faces that do not count'),
          ...gates.map(({ flag, input }) => h('label', { for: input.id }, input, ` ${FLAG_TEXT[flag]}`)),
        ),
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
    detector: {
      name: detector.value as DetectorName,
      ...(detector.value !== 'default' && threshold.value !== '' && { threshold: threshold.valueAsNumber }),
    },
    sensitivity: detector.value === 'default' ? (sensitivity.value as Sensitivity) : 'normal',
    min_face_px: minFace.valueAsNumber,
    face_gates: gates.filter(({ input }) => input.checked).map(({ flag }) => flag),
    embeddings: embeddings.checked,
  });
  const showDetectorFields = () => {
    sensitivityField.hidden = detector.value !== 'default';
    thresholdField.hidden = detector.value === 'default';
  };
  showDetectorFields();
  // A threshold of one detector means nothing to another.
  detector.addEventListener('change', () => {
    threshold.value = '';
    showDetectorFields();
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
