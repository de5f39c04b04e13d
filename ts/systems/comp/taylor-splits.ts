import type { ModelConfig } from '../../formats/model-config.js';
import { type CandidateRequest, candidateSplits } from './candidate-splits.js';
import type { ResolvedPruneOptions } from './prune-options.js';
import type { Split } from './split.js';

/** Of the layers, this share at either end is protected: 4 and 2 of LLaMA-7B's 32. */
const PROTECTED_FIRST = 4 / 32;
const PROTECTED_LAST = 2 / 32;

/** What {@link taylorSplits} chooses from. */
export type TaylorRequest = Omit<CandidateRequest, 'layerShare' | 'dropSets' | 'whole'> &
  Pick<ResolvedPruneOptions, 'protectFirst' | 'protectLast'>;

/**
 * The splits that leave the first and last layers whole and take the same number of heads and
 * channels from all others, those first that take equal shares of both, as LLM-Pruner does. Unless
 * they were asked for, protected layers are given up, first at the start, when the others can't make
 * up the ratio. Source: LLM-Pruner 2305.11627, block-wise pruning of layers 4 to 29; the numbers for
 * other depths and the search over heads and channels: reconstructed.
 */
export function taylorSplits(config: ModelConfig, request: TaylorRequest): Split[] {
  const { protectFirst, protectLast, ...rest } = request;
  const count = config.layers.length;
  let first = protectFirst === 'auto' ? Math.round(PROTECTED_FIRST * count) : protectFirst;
  let last = protectLast === 'auto' ? Math.round(PROTECTED_LAST * count) : protectLast;
  for (;;) {
    const whole = config.layers.map((_, i) => i).filter((i) => i < first || i >= count - last);
    const splits =
      whole.length === count
        ? []
        : candidateSplits(config, { ...rest, whole, layerShare: 0, dropSets: [[]] });
    if (splits.length > 0) return splits.sort((x, y) => unevenness(x) - unevenness(y));
    if (protectFirst === 'auto' && first > 0) first--;
    else if (protectLast === 'auto' && last > 0) last--;
    else return [];
  }

  /** How much the shares of heads and channels differ that a split takes. */
  function unevenness({ groups, channels }: Split): number {
    const narrowest = channels.indexOf(Math.min(...channels));
    const layer = config.layers[narrowest];
    if (layer === undefined) return 0;
    const heads = (groups[narrowest] as number) / layer.numKeyValueHeads;
    return Math.abs(heads - (channels[narrowest] as number) / layer.intermediateSize);
  }
}
