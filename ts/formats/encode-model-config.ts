import { EspalierError } from '../common/errors.js';
import type { LayerShape, ModelConfig } from './model-config.js';

/**
 * The content of config.json for a configuration whose layers, biases or dtype may have changed since
 * it was read. Fields that espalier doesn't know stay as they are. Layers of one width give a stock
 * Hugging Face config; differing ones are listed under `espalier.layers`, and the stock fields then
 * hold the largest widths.
 * @throws EspalierError `CONFIG` for a configuration that its family can't express.
 */
export function encodeModelConfig(config: ModelConfig): Record<string, unknown> {
  const { family, layers } = config;
  if (layers.length === 0) throw new EspalierError('CONFIG', 'a model needs at least one layer');
  const raw: Record<string, unknown> = {
    ...config.raw,
    num_hidden_layers: layers.length,
    intermediate_size: largest(layers, 'intermediateSize'),
    num_attention_heads: largest(layers, 'numAttentionHeads'),
    num_key_value_heads: largest(layers, 'numKeyValueHeads'),
    // Heads may be gone: the head dimension can't be derived from the hidden size any more.
    head_dim: config.headDim,
  };
  encodeBiases(config, raw);
  encodeWindows(config, raw);
  encodeWidths(config, raw);
  if (config.dtype !== undefined) {
    raw['dtype' in raw && !('torch_dtype' in raw) ? 'dtype' : 'torch_dtype'] = config.dtype;
    if ('dtype' in raw) raw.dtype = config.dtype;
  }
  raw.tie_word_embeddings = config.tieWordEmbeddings;
  raw.model_type = family;
  return raw;
}

function encodeBiases(config: ModelConfig, raw: Record<string, unknown>): void {
  const { family, queryBias, outputBias, mlpBias } = config;
  const refuse = (what: string) => {
    throw new EspalierError('CONFIG', `${family} can't express ${what}`);
  };
  if (family === 'llama' || family === 'qwen3') {
    if (queryBias !== outputBias) refuse('a bias on some attention projections only');
    if (queryBias || 'attention_bias' in raw) raw.attention_bias = queryBias;
  } else if (outputBias || queryBias !== (family === 'qwen2')) {
    refuse('these attention biases');
  }
  if (family === 'llama' && (mlpBias || 'mlp_bias' in raw)) raw.mlp_bias = mlpBias;
  if (family !== 'llama' && mlpBias) refuse('MLP biases');
}

function encodeWindows({ family, layers }: ModelConfig, raw: Record<string, unknown>): void {
  const slides = layers.map((layer) => layer.slidingWindow !== undefined);
  if (raw.layer_types != null || (slides.includes(true) && family !== 'mistral')) {
    raw.layer_types = slides.map((sliding) => (sliding ? 'sliding_attention' : 'full_attention'));
  }
  if (
    slides.includes(true) &&
    family !== 'mistral' &&
    slides.lastIndexOf(false) < slides.indexOf(true)
  ) {
    raw.max_window_layers = slides.indexOf(true);
  }
}

function encodeWidths({ layers }: ModelConfig, raw: Record<string, unknown>): void {
  const { layers: _, ...others } = (raw.espalier ?? {}) as Record<string, unknown>;
  delete raw.espalier;
  if (!isUniform(layers)) {
    others.layers = layers.map((layer) => ({
      intermediate_size: layer.intermediateSize,
      num_attention_heads: layer.numAttentionHeads,
      num_key_value_heads: layer.numKeyValueHeads,
    }));
  }
  if (Object.keys(others).length > 0) raw.espalier = others;
}

function isUniform([first, ...rest]: readonly LayerShape[]): boolean {
  return rest.every(
    (layer) =>
      layer.intermediateSize === first?.intermediateSize &&
      layer.numAttentionHeads === first.numAttentionHeads &&
      layer.numKeyValueHeads === first.numKeyValueHeads,
  );
}

function largest(
  layers: readonly LayerShape[],
  field: 'intermediateSize' | 'numAttentionHeads' | 'numKeyValueHeads',
): number {
  return Math.max(...layers.map((layer) => layer[field]));
}
