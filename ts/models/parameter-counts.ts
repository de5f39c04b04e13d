import type { LayerShape, ModelConfig } from '../formats/model-config.js';
import { layerTensors, outerTensors } from './decoder-tensors.js';

/** The parameters of one layer by part. */
export interface LayerParameters {
  attention: number;
  mlp: number;
  norm: number;
  total: number;
}

/** The parameters of a model by part. */
export interface ParameterCounts {
  embedding: number;
  /** 0 when it is tied to the embedding. */
  head: number;
  finalNorm: number;
  layers: LayerParameters[];
  total: number;
}

/** Counts the parameters of one layer. */
export function layerParameters(config: ModelConfig, shape: LayerShape): LayerParameters {
  const counts: LayerParameters = { attention: 0, mlp: 0, norm: 0, total: 0 };
  for (const spec of layerTensors(config, shape)) {
    const size = product(spec.shape);
    counts[spec.part] += size;
    counts.total += size;
  }
  return counts;
}

/** Counts the parameters of a model; tied weights count once. */
export function parameterCounts(config: ModelConfig): ParameterCounts {
  const [embedding, finalNorm, head] = outerTensors(config).map((spec) => product(spec.shape));
  const layers = config.layers.map((shape) => layerParameters(config, shape));
  const outer = { embedding: embedding ?? 0, finalNorm: finalNorm ?? 0, head: head ?? 0 };
  const inner = layers.reduce((sum, layer) => sum + layer.total, 0);
  return { ...outer, layers, total: outer.embedding + outer.finalNorm + outer.head + inner };
}

function product(shape: readonly number[]): number {
  return shape.reduce((x, y) => x * y, 1);
}
