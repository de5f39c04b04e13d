import type { LayerShape, ModelConfig } from '../formats/model-config.js';
import { parameterCounts } from './parameter-counts.js';

/** Bytes of f32 intermediates that one layer's forward pass holds per token at its peak. */
export function activationBytes(config: ModelConfig): number {
  const { hiddenSize, headDim } = config;
  const widest = (layer: LayerShape) =>
    4 * hiddenSize +
    2 * headDim * (layer.numAttentionHeads + layer.numKeyValueHeads) +
    3 * layer.intermediateSize;
  return 4 * Math.max(...config.layers.map(widest));
}

/**
 * An estimate of the memory, in bytes, that pruning holds at its peak: the weights of one layer for
 * teacher and student, the largest Gram matrix with its factorisation in f64, and both streams.
 */
export function pruneMemoryBytes(config: ModelConfig, samples = 128, window = 128): number {
  const layers = parameterCounts(config).layers.map((layer) => layer.total);
  const weights = 2 * 4 * Math.max(...layers);
  const width = Math.max(
    config.hiddenSize,
    ...config.layers.map((layer) => layer.intermediateSize),
    ...config.layers.map((layer) => layer.numAttentionHeads * config.headDim),
  );
  const gram = 2 * 8 * width ** 2;
  const streams = 2 * 4 * samples * window * config.hiddenSize;
  return weights + gram + streams;
}
