import type { LayerShape, ModelConfig } from '../../formats/model-config.js';
import type { LayerWeights, LinearWeights } from '../../models/layer-weights.js';
import { Tensor } from '../../tensor/tensor.js';

/** The configuration of the result: other layers, and biases where they were added. */
export function resultConfig(
  config: ModelConfig,
  layers: readonly LayerShape[],
  biases: boolean,
): ModelConfig {
  const added = biases ? { queryBias: true, outputBias: true, mlpBias: true } : {};
  return { ...config, ...added, layers };
}

/** Whether every projection of a family may have a bias: a stock llama may. */
export function mayHaveBiases(config: ModelConfig): boolean {
  return config.family === 'llama';
}

/**
 * Gives every projection without a bias one of zeros: a config can only say that all have one.
 * @returns the layer, and the tensors that were made for it
 */
export function withZeroBiases(layer: LayerWeights): { layer: LayerWeights; made: Tensor[] } {
  const made: Tensor[] = [];
  const fill = (linear: LinearWeights): LinearWeights => {
    if (linear.bias !== undefined) return linear;
    const bias = Tensor.zeros(
      [linear.weight.shape[0] ?? 0],
      linear.weight.dtype,
      linear.weight.device,
    );
    made.push(bias);
    return { ...linear, bias };
  };
  const { query, key, value, output, gate, up, down } = layer;
  const filled: LayerWeights = {
    ...layer,
    query: fill(query),
    key: fill(key),
    value: fill(value),
    output: fill(output),
    gate: fill(gate),
    up: fill(up),
    down: fill(down),
  };
  return { layer: filled, made };
}
