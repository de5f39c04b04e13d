import { EspalierError } from '../common/errors.js';
import { modelConfigSchema, type RawModelConfig } from './model-config-schema.js';
import { parseRope, type RopeParameters } from './rope-parameters.js';

/** The decoder families that can be loaded. */
export const MODEL_FAMILIES = ['llama', 'mistral', 'qwen2', 'qwen3'] as const;

/** A decoder family, named as `model_type` in config.json. */
export type ModelFamily = (typeof MODEL_FAMILIES)[number];

/** The widths of one decoder layer. */
export interface LayerShape {
  intermediateSize: number;
  numAttentionHeads: number;
  /** Divides `numAttentionHeads`. */
  numKeyValueHeads: number;
  /** A position sees this many positions up to itself; undefined: all of them. */
  slidingWindow?: number;
}

/** What a decoder computes, out of config.json in any of its spellings. */
export interface ModelConfig {
  family: ModelFamily;
  vocabSize: number;
  hiddenSize: number;
  headDim: number;
  maxPositionEmbeddings: number;
  rmsNormEps: number;
  /** The output head is the embedding table. */
  tieWordEmbeddings: boolean;
  /** q, k and v projections have a bias. */
  queryBias: boolean;
  /** The o projection has a bias. */
  outputBias: boolean;
  /** gate, up and down projections have a bias. */
  mlpBias: boolean;
  /** Every query and key head is normalised before the rotation (qwen3). */
  queryKeyNorm: boolean;
  rope: RopeParameters;
  /** One per layer, in order. */
  layers: readonly LayerShape[];
  /** The dtype that config.json names, such as `bfloat16`; the weights themselves decide. */
  dtype?: string;
  /** config.json as it was read, unknown fields included. */
  raw: Readonly<Record<string, unknown>>;
}

/** What stock transformers assumes for fields that are left out, where the families differ. */
const DEFAULTS: Readonly<
  Record<ModelFamily, { keyValueHeads?: number; headDim?: number; positions: number }>
> = {
  llama: { positions: 2048 },
  mistral: { keyValueHeads: 8, positions: 131072 },
  qwen2: { keyValueHeads: 32, positions: 32768 },
  qwen3: { keyValueHeads: 32, headDim: 128, positions: 32768 },
};

/**
 * Interprets the content of config.json.
 * @param what names the file in messages.
 * @throws EspalierError `FORMAT` when a field is missing, of a wrong type or contradicts another;
 * `UNSUPPORTED`, by name, for families and features that are not handled.
 */
export function parseModelConfig(json: Record<string, unknown>, what: string): ModelConfig {
  const family = parseFamily(json.model_type, what);
  const parsed = modelConfigSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const field = issue?.path.join('.') || 'the whole';
    throw new EspalierError('FORMAT', `${what}: ${field}: ${issue?.message ?? 'invalid'}`);
  }
  const raw = parsed.data;
  refuseOddFeatures(raw, family, what);
  const heads = raw.num_attention_heads;
  const headDim = parseHeadDim(raw, family, what);
  const config: ModelConfig = {
    family,
    vocabSize: raw.vocab_size,
    hiddenSize: raw.hidden_size,
    headDim,
    maxPositionEmbeddings: raw.max_position_embeddings ?? DEFAULTS[family].positions,
    rmsNormEps: raw.rms_norm_eps ?? 1e-6,
    tieWordEmbeddings: raw.tie_word_embeddings ?? false,
    queryBias: family === 'qwen2' || (raw.attention_bias ?? false),
    outputBias: family !== 'qwen2' && (raw.attention_bias ?? false),
    mlpBias: raw.mlp_bias ?? false,
    queryKeyNorm: family === 'qwen3',
    rope: parseRope(raw, what),
    layers: parseLayers(raw, family, heads, what),
    raw: json,
  };
  const dtype = raw.dtype ?? raw.torch_dtype;
  if (typeof dtype === 'string') config.dtype = dtype.replace(/^torch\./, '');
  return config;
}

function parseFamily(modelType: unknown, what: string): ModelFamily {
  const family = MODEL_FAMILIES.find((name) => name === modelType);
  if (family !== undefined) return family;
  const shown = JSON.stringify(modelType)?.slice(0, 80) ?? 'nothing';
  const code = typeof modelType === 'string' ? 'UNSUPPORTED' : 'FORMAT';
  throw new EspalierError(code, `${what}: model_type ${shown} is not supported`, {
    remedy: `the supported families are ${MODEL_FAMILIES.join(', ')}`,
    details: { supported: MODEL_FAMILIES },
  });
}

function refuseOddFeatures(raw: RawModelConfig, family: ModelFamily, what: string): void {
  const refuse = (feature: string) => {
    throw new EspalierError('UNSUPPORTED', `${what}: ${feature} is not supported for ${family}`);
  };
  const activation = raw.hidden_act ?? 'silu';
  if (activation !== 'silu' && activation !== 'swish') refuse(`hidden_act "${activation}"`);
  if (raw.quantization_config != null) refuse('quantization_config');
  if (raw.mlp_bias === true && family !== 'llama') refuse('mlp_bias');
  if (raw.attention_bias === true && family !== 'llama' && family !== 'qwen3') {
    refuse('attention_bias');
  }
  if (raw.use_sliding_window === true && (family === 'llama' || family === 'mistral')) {
    refuse('use_sliding_window');
  }
}

function parseHeadDim(raw: RawModelConfig, family: ModelFamily, what: string): number {
  // Only a field that is left out takes the family's default; null means "derive it".
  const given = raw.head_dim === undefined ? DEFAULTS[family].headDim : raw.head_dim;
  const headDim = given ?? raw.hidden_size / raw.num_attention_heads;
  if (!Number.isInteger(headDim) || headDim % 2 !== 0) {
    throw new EspalierError(
      'FORMAT',
      `${what}: the head dimension must be an even whole number, got ${headDim}`,
    );
  }
  return headDim;
}

function parseLayers(
  raw: RawModelConfig,
  family: ModelFamily,
  heads: number,
  what: string,
): LayerShape[] {
  const count = raw.num_hidden_layers;
  const listed = raw.espalier?.layers;
  if (listed !== undefined && listed.length !== count) {
    throw new EspalierError(
      'FORMAT',
      `${what}: espalier.layers has ${listed.length} entries for ${count} layers`,
    );
  }
  const assumed = raw.num_key_value_heads === undefined ? DEFAULTS[family].keyValueHeads : null;
  const keyValueHeads = raw.num_key_value_heads ?? assumed ?? heads;
  return Array.from({ length: count }, (_, i) => {
    const own = listed?.[i];
    const layer: LayerShape = {
      intermediateSize: own?.intermediate_size ?? raw.intermediate_size,
      numAttentionHeads: own?.num_attention_heads ?? heads,
      numKeyValueHeads: own?.num_key_value_heads ?? keyValueHeads,
    };
    if (layer.numAttentionHeads % layer.numKeyValueHeads !== 0) {
      throw new EspalierError(
        'FORMAT',
        `${what}: layer ${i} has ${layer.numAttentionHeads} heads, ` +
          `not a multiple of its ${layer.numKeyValueHeads} key/value heads`,
      );
    }
    const window = slidingWindowOf(raw, family, i, what);
    if (window !== undefined) layer.slidingWindow = window;
    return layer;
  });
}

/** The window of one layer, as stock transformers decides it for each family. */
function slidingWindowOf(
  raw: RawModelConfig,
  family: ModelFamily,
  layer: number,
  what: string,
): number | undefined {
  const stated = raw.sliding_window === undefined ? 4096 : raw.sliding_window;
  let window: number | null = null;
  let derived = false;
  if (family === 'mistral') {
    window = stated;
    derived = window !== null;
  } else if (family !== 'llama' && raw.use_sliding_window === true) {
    window = stated;
    derived = window !== null && layer >= (raw.max_window_layers ?? 28);
  }
  if (raw.layer_types == null) return derived && window !== null ? window : undefined;
  const type = raw.layer_types[layer];
  if (raw.layer_types.length !== raw.num_hidden_layers) {
    throw new EspalierError(
      'FORMAT',
      `${what}: layer_types has ${raw.layer_types.length} entries for ${raw.num_hidden_layers} layers`,
    );
  }
  if (type === 'full_attention' && (family !== 'mistral' || window === null)) return undefined;
  if (type === 'sliding_attention' && window !== null) return window;
  throw new EspalierError(
    'UNSUPPORTED',
    `${what}: layer_types[${layer}] "${type}" is not supported for ${family}` +
      (window === null ? ' without a sliding window' : ' with a sliding window everywhere'),
  );
}
