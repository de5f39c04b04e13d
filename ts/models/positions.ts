import { isEncoderConfig, parseEncoderConfig } from '../formats/encoder-config.js';
import { parseModelConfig } from '../formats/model-config.js';

/**
 * How many tokens a model can take, out of its config.json.
 * @throws EspalierError as `parseModelConfig` and `parseEncoderConfig`
 */
export function positionsOf(json: Record<string, unknown>): number {
  const parse = isEncoderConfig(json) ? parseEncoderConfig : parseModelConfig;
  return parse(json, 'config.json').maxPositionEmbeddings;
}
