import type { BlockMethod } from '../../pruning/block-task.js';
import type { ScoreMetric } from '../../pruning/score-metrics.js';
import type { PruneMethod, ResolvedPruneOptions } from './prune-options.js';

/** A consumer with more inputs is scored once: every scoring is a factorisation of that size. */
const MAX_RESCORED_WIDTH = 2048;

/** A consumer with more inputs is looked at in two passes: its Gram matrix takes 128 MiB and more. */
const MAX_WIDTH_AT_ONCE = 4096;

/** Methods that name the layers or units that stay, so that nothing is left to a score. */
const SELECTS_ITSELF: ReadonlySet<PruneMethod> = new Set(['shortgpt', 'taylor']);

/** How a method of `prune` treats the blocks of a layer; baselines recover nothing. */
export function blockMethod(options: ResolvedPruneOptions): BlockMethod {
  const { method } = options;
  const ours = method === 'comp';
  return {
    metric: ours ? options.metric : SELECTS_ITSELF.has(method) ? 'random' : (method as ScoreMetric),
    recover: ours ? options.recover : 'none',
    dampings: options.dampings,
    scoreDamping: options.scoreDamping,
    blend: options.blend,
    maskDamping: options.maskDamping,
    maskLimit: options.maskLimit,
    increment: options.increment,
    maxRescoredWidth: MAX_RESCORED_WIDTH,
    maxWidthAtOnce: MAX_WIDTH_AT_ONCE,
    ...(ours && options.shape === 'per-layer' ? { maxMaskVariance: options.maxMaskVariance } : {}),
    weighPositions: ours,
    useHeldOut: true,
    compensateBias: method === 'flap' && options.shape === 'per-layer' && options.biasCompensation,
  };
}
