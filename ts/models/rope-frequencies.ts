import type { RopeParameters } from '../formats/rope-parameters.js';

/**
 * The inverse frequencies of the rotary position embedding, in radians per position, `headDim / 2`
 * of them: θ^(-2i/d), and for `linear` divided by the factor. `llama3` divides the long wavelengths
 * by the factor, keeps the short ones, and interpolates between.
 * Source: Su et al., RoFormer; Llama 3.1's scaling as in stock transformers, whose f32 roundings
 * are repeated here.
 */
export function ropeFrequencies(rope: RopeParameters, headDim: number): Float32Array {
  const frequencies = new Float32Array(headDim / 2);
  for (let i = 0; i < frequencies.length; i++) {
    const exponent = Math.fround((2 * i) / headDim);
    frequencies[i] = scaled(1 / Math.fround(rope.theta ** exponent), rope);
  }
  return frequencies;
}

function scaled(frequency: number, rope: RopeParameters): number {
  if (rope.type === 'default') return frequency;
  if (rope.type === 'linear') return frequency / rope.factor;
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high } = rope;
  const original = rope.originalMaxPositionEmbeddings;
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength < original / high) return frequency;
  if (wavelength > original / low) return frequency / factor;
  const smooth = (original / wavelength - low) / (high - low);
  return ((1 - smooth) * frequency) / factor + smooth * frequency;
}
