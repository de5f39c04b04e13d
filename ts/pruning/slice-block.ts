import type { ModelConfig } from '../formats/model-config.js';
import type { LayerWeights, LinearWeights } from '../models/layer-weights.js';
import { gatherColumns } from '../ops/gather-columns.js';
import { gatherRows } from '../ops/gather-rows.js';
import type { LayerBlock } from './layer-block.js';
import { unitIndices } from './unit-indices.js';

/**
 * Removes all units of a block but `kept`: rows of the producers, with their biases, and columns of
 * the consumer. The given layer's tensors are left alone.
 * @param kept ascending unit indices
 * @param consumer the consumer with only the kept columns, when it is at hand already
 */
export function sliceBlock(
  config: ModelConfig,
  block: LayerBlock,
  layer: LayerWeights,
  kept: readonly number[],
  consumer?: LinearWeights,
): LayerWeights {
  const weights = block.weights(layer);
  if (kept.length === block.units(layer)) {
    return consumer === undefined
      ? layer
      : block.replace(layer, { ...weights, consumer }, kept.length);
  }
  const rows = block.rowsPerUnit(config, layer).map((width) => unitIndices(kept, width));
  const producers = weights.producers.map(({ weight, bias }, i) => {
    const indices = rows[i] as number[];
    const sliced = { weight: gatherRows(weight, indices) };
    return bias === undefined ? sliced : { ...sliced, bias: gatherRows(bias, indices) };
  });
  const columns = unitIndices(kept, block.columnsPerUnit(config, layer));
  const sliced = consumer ?? {
    ...weights.consumer,
    weight: gatherColumns(weights.consumer.weight, columns),
  };
  return block.replace(layer, { producers, consumer: sliced }, kept.length);
}
