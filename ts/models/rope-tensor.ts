import type { ModelConfig } from '../formats/model-config.js';
import { Tensor } from '../tensor/tensor.js';
import { ropeFrequencies } from './rope-frequencies.js';

/** The inverse frequencies of a model's rotary embedding on a device, f32 [headDim / 2]. */
export function ropeTensor(
  { rope, headDim }: Pick<ModelConfig, 'rope' | 'headDim'>,
  device: string,
): Tensor {
  const frequencies = ropeFrequencies(rope, headDim);
  return Tensor.from(frequencies, [frequencies.length], { device });
}
