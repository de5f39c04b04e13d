import { z } from 'zod';

/** Largest number of layers that is believed; published models stay under 200. */
const MAX_LAYERS = 4096;

const size = z
  .number()
  .int()
  .min(1)
  .max(2 ** 31 - 1);
const positive = z.number().positive().max(1e12);

/** The parameters of rotary position embeddings; unknown fields are kept. */
export const ropeSchema = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: positive.optional(),
  factor: positive.optional(),
  low_freq_factor: positive.optional(),
  high_freq_factor: positive.optional(),
  original_max_position_embeddings: size.optional(),
  partial_rotary_factor: z.number().optional(),
});

/** The fields of a Hugging Face config.json that decide what a decoder computes; others are kept. */
export const modelConfigSchema = z.looseObject({
  model_type: z.string(),
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size.max(MAX_LAYERS),
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  max_position_embeddings: size.optional(),
  rms_norm_eps: z.number().min(0).max(1).optional(),
  hidden_act: z.string().optional(),
  tie_word_embeddings: z.boolean().nullish(),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  rope_theta: positive.nullish(),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: ropeSchema.nullish(),
  partial_rotary_factor: z.number().nullish(),
  sliding_window: size.nullish(),
  use_sliding_window: z.boolean().nullish(),
  max_window_layers: z.number().int().min(0).nullish(),
  layer_types: z.array(z.string()).max(MAX_LAYERS).nullish(),
  torch_dtype: z.string().nullish(),
  dtype: z.string().nullish(),
  quantization_config: z.unknown().optional(),
  espalier: z
    .looseObject({
      layers: z
        .array(
          z.object({
            intermediate_size: size,
            num_attention_heads: size,
            num_key_value_heads: size,
          }),
        )
        .max(MAX_LAYERS)
        .optional(),
    })
    .optional(),
});

/** A config.json that has the right fields; whether it is supported is not decided yet. */
export type RawModelConfig = z.infer<typeof modelConfigSchema>;
