import { z } from 'zod';
import { EspalierError } from '../common/errors.js';

/** The encoder families that can be loaded. */
export const ENCODER_FAMILIES = ['bert', 'roberta', 'distilbert'] as const;

/** An encoder family, named as `model_type` in config.json. */
export type EncoderFamily = (typeof ENCODER_FAMILIES)[number];

/** What an encoder computes, out of config.json. */
export interface EncoderConfig {
  family: EncoderFamily;
  vocabSize: number;
  hiddenSize: number;
  intermediateSize: number;
  numHiddenLayers: number;
  numAttentionHeads: number;
  /** Tokens of the longest sequence. */
  maxPositionEmbeddings: number;
  /** Rows of the position table; RoBERTa skips the first ones. */
  positionRows: number;
  /** Segments; 0: the family has none. */
  typeVocabSize: number;
  padTokenId: number;
  layerNormEps: number;
  /** GELU, exact or by its tanh approximation. */
  activation: 'gelu' | 'gelu_new';
  /** Dropout on what each block adds to the stream, in training. */
  hiddenDropout: number;
  /** Dropout before the classifier, in training. */
  classifierDropout: number;
  /** Standard deviation with which new heads start. */
  initializerRange: number;
  /** config.json as it was read, unknown fields included. */
  raw: Readonly<Record<string, unknown>>;
}

const size = z
  .number()
  .int()
  .min(1)
  .max(2 ** 31 - 1);
const probability = z.number().min(0).max(0.99).nullish();
const common = {
  vocab_size: size,
  max_position_embeddings: size,
  pad_token_id: z.number().int().min(0).nullish(),
  initializer_range: z.number().positive().max(10).nullish(),
  quantization_config: z.unknown().optional(),
};
const bertSchema = z.looseObject({
  ...common,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size.max(4096),
  num_attention_heads: size,
  type_vocab_size: size.nullish(),
  layer_norm_eps: z.number().min(0).max(1).nullish(),
  hidden_act: z.string().nullish(),
  hidden_dropout_prob: probability,
  classifier_dropout: probability,
  position_embedding_type: z.string().nullish(),
  is_decoder: z.boolean().nullish(),
});
const distilbertSchema = z.looseObject({
  ...common,
  dim: size,
  hidden_dim: size,
  n_layers: size.max(4096),
  n_heads: size,
  activation: z.string().nullish(),
  dropout: probability,
  seq_classif_dropout: probability,
});

/** Whether a config.json names an encoder family. */
export function isEncoderConfig(json: Record<string, unknown>): boolean {
  return ENCODER_FAMILIES.some((family) => family === json.model_type);
}

function checked<T>(schema: z.ZodType<T>, json: Record<string, unknown>, what: string): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue?.path.join('.') || 'the whole';
  throw new EspalierError('FORMAT', `${what}: ${field}: ${issue?.message ?? 'invalid'}`);
}

/**
 * Interprets the config.json of an encoder.
 * @param what names the file in messages.
 * @throws EspalierError `FORMAT` when a field is missing, of a wrong type or contradicts another;
 * `UNSUPPORTED`, by name, for families and features that are not handled.
 */
export function parseEncoderConfig(json: Record<string, unknown>, what: string): EncoderConfig {
  const family = ENCODER_FAMILIES.find((name) => name === json.model_type);
  if (family === undefined) {
    throw new EspalierError('UNSUPPORTED', `${what}: ${json.model_type} is not a known encoder`, {
      remedy: `the supported families are ${ENCODER_FAMILIES.join(', ')}`,
    });
  }
  const refuse = (feature: string): never => {
    throw new EspalierError('UNSUPPORTED', `${what}: ${feature} is not supported for ${family}`);
  };
  const activation = (name: string | null | undefined): 'gelu' | 'gelu_new' => {
    if (name === 'gelu_new' || name === 'gelu_pytorch_tanh') return 'gelu_new';
    return name == null || name === 'gelu' ? 'gelu' : refuse(`activation "${name}"`);
  };
  if (json.quantization_config != null) refuse('quantization_config');
  let config: EncoderConfig;
  if (family === 'distilbert') {
    const raw = checked(distilbertSchema, json, what);
    config = {
      family,
      vocabSize: raw.vocab_size,
      hiddenSize: raw.dim,
      intermediateSize: raw.hidden_dim,
      numHiddenLayers: raw.n_layers,
      numAttentionHeads: raw.n_heads,
      maxPositionEmbeddings: raw.max_position_embeddings,
      positionRows: raw.max_position_embeddings,
      typeVocabSize: 0,
      padTokenId: raw.pad_token_id ?? 0,
      layerNormEps: 1e-12,
      activation: activation(raw.activation),
      hiddenDropout: raw.dropout ?? 0.1,
      classifierDropout: raw.seq_classif_dropout ?? 0.2,
      initializerRange: raw.initializer_range ?? 0.02,
      raw: json,
    };
  } else {
    const raw = checked(bertSchema, json, what);
    const positions = raw.position_embedding_type ?? 'absolute';
    if (positions !== 'absolute') refuse(`position_embedding_type "${positions}"`);
    if (raw.is_decoder === true) refuse('is_decoder');
    const padTokenId = raw.pad_token_id ?? (family === 'roberta' ? 1 : 0);
    // RoBERTa counts positions from the padding token's id on.
    const skipped = family === 'roberta' ? padTokenId + 1 : 0;
    const hiddenDropout = raw.hidden_dropout_prob ?? 0.1;
    config = {
      family,
      vocabSize: raw.vocab_size,
      hiddenSize: raw.hidden_size,
      intermediateSize: raw.intermediate_size,
      numHiddenLayers: raw.num_hidden_layers,
      numAttentionHeads: raw.num_attention_heads,
      maxPositionEmbeddings: raw.max_position_embeddings - skipped,
      positionRows: raw.max_position_embeddings,
      typeVocabSize: raw.type_vocab_size ?? 2,
      padTokenId,
      layerNormEps: raw.layer_norm_eps ?? 1e-12,
      activation: activation(raw.hidden_act),
      hiddenDropout,
      classifierDropout: raw.classifier_dropout ?? hiddenDropout,
      initializerRange: raw.initializer_range ?? 0.02,
      raw: json,
    };
    if (config.maxPositionEmbeddings < 1) {
      throw new EspalierError('FORMAT', `${what}: max_position_embeddings leaves no position`);
    }
  }
  if (config.hiddenSize % config.numAttentionHeads !== 0) {
    throw new EspalierError(
      'FORMAT',
      `${what}: hidden size ${config.hiddenSize} is not a multiple of ` +
        `${config.numAttentionHeads} heads`,
    );
  }
  return config;
}
