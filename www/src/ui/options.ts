/** The options form: what is chosen, and how. */

import { DEFAULT_OPTIONS, type DetectorName, FLAGS, type FacesMode, MAX_WORKERS, type Options, type Sensitivity } from 'framesift';
import { T } from '../text';
import { h } from './dom';

/** What the form holds: all that is neither a format nor decided by hand. */
export type Settings = Pick<
  Options,
  'budget' | 'similarity' | 'batch' | 'workers' | 'faces' | 'detector' | 'sensitivity' | 'min_face_px' | 'face_gates' | 'embeddings'
>;

export interface OptionsForm {
  element: HTMLFormElement;
  /** What it says, or said when it last made sense. */
  read(): Settings;
  /** Whether it makes sense; otherwise the user is led to what does not. */
  check(): boolean;
  write(settings: Partial<Settings>): void;
  /** Options that only a new scan can change are fixed after it. */
  setScanned(scanned: boolean): void;
}

/** Sets of options to start from. */
const PRESETS: Record<Exclude<keyof typeof T.settings.presets, 'custom'>, Partial<Settings>> = {
  training: { budget: 500, faces: 'prefer', similarity: 0.8, min_face_px: 20, face_gates: ['blurred', 'dark', 'bright'] },
  person: { budget: 100, faces: 'require', similarity: 0.85, min_face_px: 60, face_gates: ['small', 'blurred', 'dark', 'bright', 'truncated'] },
  // With look-alikes that wide apart nothing is chosen but a frame for each scene.
  scenes: { budget: 1000, faces: 'ignore', similarity: 0 },
  pyscenedetect: { budget: 500, faces: 'ignore', detector: { name: 'adaptive' } },
};

/** `onInput` comes with every valid change, `onCommit` when the user is done with a field. */
export function optionsForm(onInput: () => void, onCommit: () => void): OptionsForm {
  const numeric = (name: string, value: number, min: number, max: number, step: number | 'any' = 1) =>
    h('input', { type: 'number', id: `option-${name}`, name, value, min, max, step, required: true, inputmode: 'numeric' });
  const budget = numeric('budget', DEFAULT_OPTIONS.budget, 1, 100000);
  const similarity = numeric('similarity', DEFAULT_OPTIONS.similarity, 0, 1, 'any');
  similarity.inputMode = 'decimal';
  const minFace = numeric('min-face', DEFAULT_OPTIONS.min_face_px, 0, 10000);
  const batch = numeric('batch', DEFAULT_OPTIONS.batch, 1, 500);
  const workers = numeric('workers', DEFAULT_OPTIONS.workers, 1, MAX_WORKERS);
  const embeddings = h('input', { type: 'checkbox', id: 'option-embeddings', name: 'embeddings' });
  const choice = <K extends string>(name: string, texts: Record<K, string>, chosen: K) =>
    h(
      'select',
      { id: `option-${name}`, name },
      ...(Object.entries(texts) as [K, string][]).map(([value, text]) => h('option', { value, selected: value === chosen }, text)),
    );
  const preset = choice('preset', T.settings.presets, 'training');
  const faces = choice('faces', T.settings.faceModes, 'prefer');
  const sensitivity = choice('sensitivity', T.settings.sensitivities, 'normal');
  const detectors: DetectorName[] = ['default', 'adaptive', 'content', 'hash', 'hist', 'threshold'];
  const detector = h(
    'select',
    { id: 'option-detector', name: 'detector' },
    ...detectors.map((name) => h('option', { value: name }, T.settings.detectors(name))),
  );
  const threshold = h('input', {
    type: 'number',
    id: 'option-threshold',
    name: 'threshold',
    min: 0,
    step: 'any',
    inputmode: 'decimal',
    placeholder: T.settings.thresholdEmpty,
  });
  const gates = FLAGS.map((flag) => {
    const checked = DEFAULT_OPTIONS.face_gates.includes(flag);
    const input = h('input', { type: 'checkbox', id: `option-gate-${flag}`, name: 'gate', value: flag, checked });
    return { flag, input };
  });
  const scanOnly = [batch, workers, detector];

  const field = (input: HTMLElement, label: string, hint: string, beside?: HTMLElement) => {
    const hintId = `${input.id}-hint`;
    input.setAttribute('aria-describedby', hintId);
    return h(
      'div',
      { class: 'field' },
      h('label', { for: input.id }, label),
      beside ? h('div', { class: 'with-slider' }, beside, input) : input,
      h('p', { class: 'hint', id: hintId }, hint),
    );
  };
  /** A slider beside a number, for the pointer; the keyboard has the number. */
  const sliders: (() => void)[] = [];
  const slider = (input: HTMLInputElement, min: number, max: number) => {
    const range = h('input', { type: 'range', min, max, step: input.step === 'any' ? 0.01 : input.step, tabindex: -1, 'aria-hidden': 'true' });
    const follow = () => (range.value = input.value);
    range.addEventListener('input', () => (input.value = range.value));
    input.addEventListener('input', follow);
    sliders.push(follow);
    follow();
    return range;
  };

  const sensitivityField = field(sensitivity, T.settings.sensitivity, T.settings.sensitivityHint);
  const thresholdField = field(threshold, T.settings.threshold, T.settings.thresholdHint);
  const element = h(
    'form',
    { class: 'options', novalidate: true, 'aria-label': T.settings.title },
    h('div', { class: 'field' }, h('label', { for: preset.id }, T.settings.preset), preset),
    field(budget, T.settings.budget, T.settings.budgetHint, slider(budget, 1, 1000)),
    field(faces, T.settings.faces, T.settings.facesHint),
    h(
      'details',
      {},
      h('summary', {}, T.settings.more),
      h(
        'div',
        { class: 'options' },
        field(similarity, T.settings.similarity, T.settings.similarityHint, slider(similarity, 0, 1)),
        field(minFace, T.settings.minFace, T.settings.minFaceHint, slider(minFace, 0, 300)),
        field(detector, T.settings.detector, T.settings.detectorHint),
        sensitivityField,
        thresholdField,
        h(
          'fieldset',
          { class: 'field checks' },
          h('legend', {}, T.settings.gates),
          ...gates.map(({ flag, input }) => h('label', { for: input.id }, input, ` ${T.settings.flags[flag]}`)),
        ),
        field(batch, T.settings.batch, T.settings.batchHint),
        field(workers, T.settings.workers, T.settings.workersHint(MAX_WORKERS)),
        h(
          'div',
          { class: 'field check' },
          embeddings,
          h('label', { for: embeddings.id }, T.settings.embeddings),
          h('p', { class: 'hint' }, T.settings.embeddingsHint),
        ),
      ),
    ),
  );
  const now = (): Settings => ({
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
  let last = now();
  const read = () => {
    if (element.checkValidity()) last = now();
    return last;
  };
  const check = () => {
    const wrong = element.querySelector<HTMLInputElement>('input:invalid');
    for (let closed = wrong?.closest('details'); closed; closed = closed.parentElement?.closest('details')) closed.open = true;
    return element.reportValidity();
  };
  const showDetectorFields = () => {
    sensitivityField.hidden = detector.value !== 'default';
    thresholdField.hidden = detector.value === 'default';
  };
  const write = (settings: Partial<Settings>) => {
    const numbers: [HTMLInputElement, number | undefined][] = [
      [budget, settings.budget],
      [similarity, settings.similarity],
      [batch, settings.batch],
      [workers, settings.workers],
      [minFace, settings.min_face_px],
    ];
    for (const [input, value] of numbers) if (value !== undefined && !input.disabled) input.valueAsNumber = value;
    if (settings.faces) faces.value = settings.faces;
    if (settings.detector && !detector.disabled) detector.value = settings.detector.name;
    if (settings.detector) threshold.value = settings.detector.threshold === undefined ? '' : String(settings.detector.threshold);
    if (settings.sensitivity) sensitivity.value = settings.sensitivity;
    if (settings.face_gates) for (const { flag, input } of gates) input.checked = settings.face_gates.includes(flag);
    if (settings.embeddings !== undefined) embeddings.checked = settings.embeddings;
    preset.value = 'custom';
    showDetectorFields();
    sliders.forEach((follow) => follow());
  };
  showDetectorFields();
  // A threshold of one detector means nothing to another.
  detector.addEventListener('change', () => {
    threshold.value = '';
    showDetectorFields();
  });
  preset.addEventListener('input', () => {
    const chosen = preset.value;
    if (chosen === 'custom') return;
    const kept = { embeddings: embeddings.checked, batch: batch.valueAsNumber, workers: workers.valueAsNumber };
    write({ ...DEFAULT_OPTIONS, ...kept, ...PRESETS[chosen as keyof typeof PRESETS] });
    preset.value = chosen;
  });
  element.addEventListener('submit', (event) => event.preventDefault());
  element.addEventListener('input', (event) => {
    if (event.target !== preset) preset.value = 'custom';
    if (element.checkValidity()) onInput();
  });
  element.addEventListener('change', () => {
    check();
    onCommit();
  });
  return {
    element,
    read,
    check,
    write,
    setScanned: (scanned) => {
      for (const input of scanOnly) {
        input.disabled = scanned;
        input.title = scanned ? T.settings.afterScan : '';
      }
      // Its detector needs a scan of its own.
      const option = preset.querySelector<HTMLOptionElement>('[value="pyscenedetect"]');
      if (option) option.disabled = scanned;
    },
  };
}
