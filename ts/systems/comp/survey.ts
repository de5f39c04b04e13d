import { layerForward } from '../../models/layer-forward.js';
import { LayerFeed } from '../../models/layer-feed.js';
import { disposeLayer } from '../../models/layer-weights.js';
import { cosine } from '../../ops/cosine.js';
import { sumColumns } from '../../ops/sum-columns.js';
import { settleNumber } from '../../tensor/settle.js';
import { keep, scope } from '../../tensor/scope.js';
import type { Tensor } from '../../tensor/tensor.js';
import { meanLoss } from './mean-loss.js';
import { embeddedChunks, type Workbench } from './workbench.js';

/** What a pass through the unpruned model tells. */
export interface Survey {
  /** 1 − mean over tokens of cos(x_l, x_{l+1}), by layer. */
  influence: number[];
  /** Mean loss over the held-out windows, or all when none is held out, in nats per token. */
  loss: number;
}

/**
 * Measures every layer's block influence and the unpruned model's loss, one layer in memory at a time.
 * Source: ShortGPT 2403.03853; COMP scores layers by the same cosine [reconstructed].
 */
export async function survey(bench: Workbench): Promise<Survey> {
  const { checkpoint, config, frequencies, signal } = bench;
  const influence: number[] = [];
  let stream = embeddedChunks(bench);
  const feed = new LayerFeed(checkpoint);
  try {
    for (const [i] of config.layers.entries()) {
      const layer = feed.take(i);
      let similarity = 0;
      let tokens = 0;
      const next: Tensor[] = [];
      try {
        for (const x of stream) {
          const y = layerForward(config, layer, x, frequencies);
          next.push(y);
          const sum = scope(() => {
            const cosines = cosine(x, y);
            return keep(sumColumns(cosines.reshape([1, cosines.size])));
          });
          similarity += await settleNumber(sum, signal);
          sum.dispose();
          tokens += x.size / config.hiddenSize;
          x.dispose();
        }
      } finally {
        disposeLayer(layer);
      }
      stream = next;
      influence.push(1 - similarity / tokens);
      bench.onLayer?.('survey', i);
    }
    return { influence, loss: await meanLoss(bench, stream) };
  } finally {
    feed.dispose();
    for (const x of stream) x.dispose();
  }
}

/** The `count` least important of the droppable layers, ascending. */
export function leastImportant(
  importance: readonly number[],
  droppable: readonly number[],
  count: number,
): number[] {
  const value = (i: number) => importance[i] as number;
  return [...droppable]
    .sort((x, y) => value(x) - value(y) || x - y)
    .slice(0, count)
    .sort((x, y) => x - y);
}

/**
 * The layers that may be dropped: all but the first two and the last by default. A model too shallow
 * for that gives the default protection up, first at the start, until one layer is free; protection
 * that was asked for is kept.
 */
export function droppableLayers(
  count: number,
  protectFirst: number | 'auto',
  protectLast: number | 'auto',
): number[] {
  let first = protectFirst === 'auto' ? 2 : protectFirst;
  let last = protectLast === 'auto' ? 1 : protectLast;
  while (protectFirst === 'auto' && first > 0 && first + last >= count) first--;
  while (protectLast === 'auto' && last > 0 && first + last >= count) last--;
  return Array.from({ length: Math.max(0, count - first - last) }, (_, i) => first + i);
}
