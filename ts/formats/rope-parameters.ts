import { EspalierError } from '../common/errors.js';
import type { RawModelConfig } from './model-config-schema.js';

/** How the frequencies of the rotary position embedding are made (see `ropeFrequencies`). */
export type RopeParameters =
  | { type: 'default'; theta: number }
  | { type: 'linear'; theta: number; factor: number }
  | {
      type: 'llama3';
      theta: number;
      factor: number;
      lowFrequencyFactor: number;
      highFrequencyFactor: number;
      originalMaxPositionEmbeddings: number;
    };

const DEFAULT_THETA = 10000;

/**
 * Reads the rotary parameters in both spellings: `rope_theta` with `rope_scaling` (`type` or
 * `rope_type`), or `rope_parameters`.
 * @throws EspalierError `UNSUPPORTED` for another type, `FORMAT` for missing or contradicting fields.
 */
export function parseRope(raw: RawModelConfig, what: string): RopeParameters {
  const scaling = raw.rope_scaling;
  const parameters = raw.rope_parameters;
  if (scaling != null && parameters != null && differ(scaling, parameters)) {
    throw new EspalierError('FORMAT', `${what}: rope_scaling contradicts rope_parameters`);
  }
  const rope = scaling ?? parameters ?? {};
  for (const [key, value] of Object.entries(rope)) {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      throw new EspalierError('UNSUPPORTED', `${what}: rotary parameters per layer type (${key})`);
    }
  }
  if ((rope.partial_rotary_factor ?? raw.partial_rotary_factor ?? 1) !== 1) {
    throw new EspalierError('UNSUPPORTED', `${what}: partial_rotary_factor is not supported`);
  }
  const theta = rope.rope_theta ?? raw.rope_theta ?? DEFAULT_THETA;
  const type = rope.rope_type ?? rope.type ?? 'default';
  const need = (name: 'factor' | 'low_freq_factor' | 'high_freq_factor') => {
    const value = rope[name];
    if (value === undefined) {
      throw new EspalierError('FORMAT', `${what}: the rope type "${type}" needs ${name}`);
    }
    return value;
  };
  switch (type) {
    case 'default':
      return { type, theta };
    case 'linear':
      return { type, theta, factor: need('factor') };
    case 'llama3': {
      const original = rope.original_max_position_embeddings;
      if (original === undefined) {
        throw new EspalierError(
          'FORMAT',
          `${what}: the rope type "llama3" needs original_max_position_embeddings`,
        );
      }
      const low = need('low_freq_factor');
      const high = need('high_freq_factor');
      if (high <= low) {
        throw new EspalierError('FORMAT', `${what}: high_freq_factor must exceed low_freq_factor`);
      }
      return {
        type,
        theta,
        factor: need('factor'),
        lowFrequencyFactor: low,
        highFrequencyFactor: high,
        originalMaxPositionEmbeddings: original,
      };
    }
    default:
      throw new EspalierError(
        'UNSUPPORTED',
        `${what}: rope type ${JSON.stringify(type.slice(0, 80))} is not supported`,
        { remedy: 'the supported types are default, linear, llama3' },
      );
  }
}

function differ(x: Record<string, unknown>, y: Record<string, unknown>): boolean {
  const common = Object.keys(x).filter((key) => key in y);
  return common.some((key) => JSON.stringify(x[key]) !== JSON.stringify(y[key]));
}
