import type { ModelConfig } from '../formats/model-config.js';
import { attentionContext } from '../models/attention-block.js';
import type { LayerWeights, LinearWeights } from '../models/layer-weights.js';
import { swiglu } from '../ops/swiglu.js';
import type { Tensor } from '../tensor/tensor.js';

/** Which half of a decoder layer. */
export type BlockName = 'attention' | 'mlp';

/** The weights of a block that its units run through. */
export interface BlockWeights {
  /** q, k, v; or gate, up. */
  producers: LinearWeights[];
  /** o; or down. */
  consumer: LinearWeights;
}

/**
 * One half of a decoder layer as pruning sees it: `producers` read the normalised stream, their
 * outputs are combined, and one `consumer` writes to the stream. What can be removed are whole units:
 * a key/value head with all its query heads in attention, a channel in the MLP. A unit owns the same
 * rows of every producer and the same columns of the consumer.
 */
export interface LayerBlock {
  name: BlockName;
  /** How many units the layer has. */
  units(layer: LayerWeights): number;
  /** Rows of each producer that belong to one unit. */
  rowsPerUnit(config: ModelConfig, layer: LayerWeights): number[];
  /** Columns of the consumer that belong to one unit. */
  columnsPerUnit(config: ModelConfig, layer: LayerWeights): number;
  /** The norm in front of the block. */
  norm(layer: LayerWeights): Tensor;
  weights(layer: LayerWeights): BlockWeights;
  /** The layer with other weights in this block, for `units` units. */
  replace(layer: LayerWeights, weights: BlockWeights, units: number): LayerWeights;
  /** From the producers' outputs [batch, sequence, …] to the consumer's input. */
  combine(
    config: ModelConfig,
    layer: LayerWeights,
    outputs: readonly Tensor[],
    frequencies: Tensor,
  ): Tensor;
}

const attention: LayerBlock = {
  name: 'attention',
  units: ({ shape }) => shape.numKeyValueHeads,
  rowsPerUnit: ({ headDim }, layer) => [headsPerUnit(layer) * headDim, headDim, headDim],
  columnsPerUnit: ({ headDim }, layer) => headsPerUnit(layer) * headDim,
  norm: (layer) => layer.inputNorm,
  weights: ({ query, key, value, output }) => ({
    producers: [query, key, value],
    consumer: output,
  }),
  replace: (layer, { producers, consumer }, units) => {
    const [query, key, value] = producers as [LinearWeights, LinearWeights, LinearWeights];
    const shape = {
      ...layer.shape,
      numKeyValueHeads: units,
      numAttentionHeads: units * headsPerUnit(layer),
    };
    return { ...layer, query, key, value, output: consumer, shape };
  },
  combine: (config, layer, outputs, frequencies) => {
    const [query, key, value] = outputs as [Tensor, Tensor, Tensor];
    return attentionContext(config, layer, { query, key, value }, frequencies);
  },
};

const mlp: LayerBlock = {
  name: 'mlp',
  units: ({ shape }) => shape.intermediateSize,
  rowsPerUnit: () => [1, 1],
  columnsPerUnit: () => 1,
  norm: (layer) => layer.postAttentionNorm,
  weights: ({ gate, up, down }) => ({ producers: [gate, up], consumer: down }),
  replace: (layer, { producers, consumer }, units) => {
    const [gate, up] = producers as [LinearWeights, LinearWeights];
    const shape = { ...layer.shape, intermediateSize: units };
    return { ...layer, gate, up, down: consumer, shape };
  },
  combine: (_config, _layer, outputs) => {
    const [gate, up] = outputs as [Tensor, Tensor];
    return swiglu(gate, up);
  },
};

/** The two blocks of a layer, in the order in which they are computed. */
export const LAYER_BLOCKS: readonly LayerBlock[] = [attention, mlp];

function headsPerUnit({ shape }: LayerWeights): number {
  return shape.numAttentionHeads / shape.numKeyValueHeads;
}
