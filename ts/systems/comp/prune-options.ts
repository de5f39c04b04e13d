import { EspalierError } from '../../common/errors.js';
import type { LongOperationOptions } from '../../common/events.js';
import { CONDITION_METRICS } from '../../pruning/score-metrics.js';

/** The pruning methods: ours, and the baselines on the same machinery. */
export const PRUNE_METHODS = [
  'comp',
  'magnitude',
  'random',
  'shortgpt',
  'wanda-sp',
  'flap',
  'taylor',
] as const;

/** A pruning method. */
export type PruneMethod = (typeof PRUNE_METHODS)[number];

/** The scores that `comp` can select units by. */
export const COMP_METRICS = [...CONDITION_METRICS, 'reconstruction'] as const;

/** A score that `comp` can select units by. */
export type CompMetric = (typeof COMP_METRICS)[number];

/** How `comp` makes up for what was removed. */
export const RECOVERIES = ['refit', 'lstsq', 'mask', 'none'] as const;

/** Options of `prune`. Constants marked "reconstructed" are our choice where COMP's paper is silent. */
export interface PruneOptions extends LongOperationOptions {
  /** The directory that the pruned model appears in. */
  output: string;
  /** UTF-8 text to calibrate on; several files are drawn from as one pool. */
  calibration: string | readonly string[];
  /** Default `comp`. */
  method?: PruneMethod;
  /** Fraction of all parameters to remove, 0 to below 1; default 0.2. */
  ratio?: number;
  /** Calibration windows; default 128. */
  samples?: number;
  /** Tokens per calibration window, at least 2; default 128. */
  window?: number;
  /**
   * Share of the calibration windows that the model writes itself, 0 to 1, the rest is drawn from the
   * texts; `auto`, the default, is 0.5 for `comp` where the split is searched for, else 0 [ours].
   */
  selfSampled?: 'auto' | number;
  /** Score of units, for `comp`; default `reconstruction`. */
  metric?: CompMetric;
  /** Recovery, for `comp`; default `refit`. */
  recover?: (typeof RECOVERIES)[number];
  /**
   * Share of the ratio that goes to whole layers, 0 to 1; `auto`, the default, picks the split
   * between layers, heads and channels whose predictions on held-out calibration windows are nearest
   * to the unpruned model's.
   */
  layerShare?: 'auto' | number;
  /**
   * Indices of the layers that go, from 0, in place of `layerShare` and of the protection of layers;
   * `auto`, the default, leaves them to the search.
   */
  dropLayers?: 'auto' | readonly number[];
  /** Key/value groups that stay in each layer; `auto`, the default, leaves them to the search. */
  keyValueGroups?: 'auto' | number;
  /**
   * `uniform` keeps one width for all layers; `per-layer` lets them differ. Default `uniform`, for
   * `taylor` `per-layer`, where the protected layers keep their widths.
   */
  shape?: 'uniform' | 'per-layer';
  /** MLP widths become multiples of it; default 8, from 2048 channels on 64 [reconstructed]. */
  align?: number;
  /**
   * Layers at the start that are never dropped; default 2, fewer in shallow models [reconstructed].
   * For `taylor` with shape `per-layer`: that nothing is taken from, see `taylorProtected`.
   */
  protectFirst?: number;
  /** Layers at the end that are protected so; default 1, 0 for two layers [reconstructed]. */
  protectLast?: number;
  /**
   * With `shape` `per-layer`, a block stops before the variance of its tuned mask exceeds this, and
   * the other layers take over; default 0.05 [reconstructed].
   */
  maxMaskVariance?: number;
  /** Seed of everything random; default 0. */
  seed?: number;
  /** Go on where an interrupted run stopped. */
  resume?: boolean;
  /** Replace an existing output directory, once the new one is complete. */
  force?: boolean;
  /** Where to compute; default `auto`. */
  device?: string;
  /** Share of the calibration windows that only judge; default 0.1 [ours]. */
  heldOut?: number;
  /** Choices of λ for least squares, × mean diagonal; default 1e-3, 1e-2, 1e-1 [ours]. */
  dampings?: readonly number[];
  /** λ of scores, × mean diagonal; default 1e-2 [reconstructed]. */
  scoreDamping?: number;
  /** γ of the metric `blend`; default 0.5 [reconstructed]. */
  blend?: number;
  /** λ of mask tuning, × mean diagonal; default 1e-2 [reconstructed]. */
  maskDamping?: number;
  /** Masks with a larger value are rejected; default 10 [reconstructed]. */
  maskLimit?: number;
  /** Share of a block's units that goes between two scorings; default 0.05 [reconstructed]. */
  increment?: number;
  /** Calibration windows whose loss `taylor` takes the gradient of; default 10, as published. */
  gradientSamples?: number;
  /** Give FLAP's biases to the consumers: method `flap` with shape `per-layer`; default true. */
  biasCompensation?: boolean;
}

/** The options with every default filled in, but those that belong to one call only. */
export type ResolvedPruneOptions = Required<
  Omit<
    PruneOptions,
    'signal' | 'onProgress' | 'align' | 'protectFirst' | 'protectLast' | 'resume' | 'force'
  >
> & {
  calibration: readonly string[];
  align: number | 'auto';
  protectFirst: number | 'auto';
  protectLast: number | 'auto';
};

/**
 * Checks options and fills in defaults.
 * @throws EspalierError `CONFIG` naming the option, what was expected and what came.
 */
export function resolvePruneOptions(options: PruneOptions): ResolvedPruneOptions {
  const { calibration } = options;
  const files = typeof calibration === 'string' ? [calibration] : [...(calibration ?? [])];
  if (files.length === 0) refuse('calibration', 'at least one text file', 'none');
  if (typeof options.output !== 'string' || options.output === '') {
    refuse('output', 'a directory', options.output);
  }
  const resolved: ResolvedPruneOptions = {
    output: options.output,
    calibration: files,
    method: options.method ?? 'comp',
    ratio: options.ratio ?? 0.2,
    samples: options.samples ?? 128,
    window: options.window ?? 128,
    selfSampled: options.selfSampled ?? 'auto',
    metric: options.metric ?? 'reconstruction',
    recover: options.recover ?? 'refit',
    layerShare: options.layerShare ?? 'auto',
    dropLayers: options.dropLayers ?? 'auto',
    keyValueGroups: options.keyValueGroups ?? 'auto',
    shape: options.shape ?? (options.method === 'taylor' ? 'per-layer' : 'uniform'),
    align: options.align ?? 'auto',
    protectFirst: options.protectFirst ?? 'auto',
    protectLast: options.protectLast ?? 'auto',
    maxMaskVariance: options.maxMaskVariance ?? 0.05,
    seed: options.seed ?? 0,
    device: options.device ?? 'auto',
    heldOut: options.heldOut ?? 0.1,
    dampings: [...(options.dampings ?? [1e-3, 1e-2, 1e-1])],
    scoreDamping: options.scoreDamping ?? 1e-2,
    blend: options.blend ?? 0.5,
    maskDamping: options.maskDamping ?? 1e-2,
    maskLimit: options.maskLimit ?? 10,
    increment: options.increment ?? 0.05,
    gradientSamples: options.gradientSamples ?? 10,
    biasCompensation: options.biasCompensation ?? true,
  };
  oneOf('method', resolved.method, PRUNE_METHODS);
  oneOf('metric', resolved.metric, COMP_METRICS);
  oneOf('recover', resolved.recover, RECOVERIES);
  oneOf('shape', resolved.shape, ['uniform', 'per-layer']);
  range('ratio', resolved.ratio, 0, 1, 'below');
  whole('samples', resolved.samples, 1);
  whole('gradientSamples', resolved.gradientSamples, 1);
  whole('window', resolved.window, 2);
  whole('seed', resolved.seed, 0);
  for (const name of ['align', 'protectFirst', 'protectLast'] as const) {
    if (resolved[name] !== 'auto') whole(name, resolved[name], name === 'align' ? 1 : 0);
  }
  if (resolved.layerShare !== 'auto') range('layerShare', resolved.layerShare, 0, 1, 'to');
  if (resolved.selfSampled !== 'auto') range('selfSampled', resolved.selfSampled, 0, 1, 'to');
  if (resolved.dropLayers !== 'auto') checkDropLayers(resolved, resolved.dropLayers);
  if (resolved.keyValueGroups !== 'auto') whole('keyValueGroups', resolved.keyValueGroups, 1);
  range('heldOut', resolved.heldOut, 0, 0.5, 'to');
  range('blend', resolved.blend, 0, 1, 'to');
  range('increment', resolved.increment, 0, 1, 'to');
  for (const name of ['maxMaskVariance', 'maskLimit', 'maskDamping', 'scoreDamping'] as const) {
    range(name, resolved[name], 0, Number.MAX_VALUE, 'to');
  }
  for (const damping of resolved.dampings) range('dampings', damping, 0, Number.MAX_VALUE, 'to');
  return resolved;
}

function checkDropLayers(
  { method, shape, layerShare }: ResolvedPruneOptions,
  layers: readonly number[],
): void {
  for (const layer of layers) whole('dropLayers', layer, 0);
  if (new Set(layers).size < layers.length) refuse('dropLayers', 'every layer once', layers);
  if (layerShare !== 'auto') refuse('layerShare', 'auto beside dropLayers', layerShare);
  const published = (method === 'flap' || method === 'taylor') && shape === 'per-layer';
  if (method === 'shortgpt' || published) {
    refuse('dropLayers', `auto for ${method}, which chooses itself`, layers);
  }
}

function refuse(name: string, expected: string, got: unknown): never {
  throw new EspalierError('CONFIG', `${name}: expected ${expected}, got ${String(got)}`, {
    op: 'prune',
    details: { option: name },
  });
}

function oneOf(name: string, value: unknown, values: readonly string[]): void {
  if (!values.includes(value as string)) refuse(name, `one of ${values.join(', ')}`, value);
}

function whole(name: string, value: unknown, least: number): void {
  if (!Number.isSafeInteger(value) || (value as number) < least) {
    refuse(name, `a whole number of at least ${least}`, value);
  }
}

function range(name: string, value: unknown, low: number, high: number, end: 'to' | 'below'): void {
  const ok =
    typeof value === 'number' && value >= low && (end === 'to' ? value <= high : value < high);
  if (ok) return;
  refuse(
    name,
    high === Number.MAX_VALUE
      ? `a number of at least ${low}`
      : `a number from ${low} ${end} ${high}`,
    value,
  );
}
