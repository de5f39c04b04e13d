import { z } from 'zod';
import { EspalierError } from '../common/errors.js';

/** The name of an adapter's configuration in its directory. */
export const ADAPTER_CONFIG_FILE = 'adapter_config.json';

/** A LoRA configuration: the fields of PEFT's adapter_config.json that decide what it computes. */
export interface AdapterConfig {
  /** Rank where `rankPattern` names no other. */
  r: number;
  /** Numerator of the scale where `alphaPattern` names no other. */
  loraAlpha: number;
  /** Probability with which training drops an input of A. */
  loraDropout: number;
  /** The scale is alpha / sqrt(rank) instead of alpha / rank. */
  useRslora: boolean;
  /** Ends of module names, or one regular expression, or `all-linear`; null: not recorded. */
  targetModules: readonly string[] | string | null;
  /** Ends of module names, or one regular expression, that are left out. */
  excludeModules: readonly string[] | string | null;
  /** Layers that have an adapter, where `targetModules` is a list; null: all. */
  layersToTransform: readonly number[] | number | null;
  /** Name of the list of layers, such as `layers`; null: any. */
  layersPattern: readonly string[] | string | null;
  /** Ranks by end of module name or regular expression, the first match counts. */
  rankPattern: Readonly<Record<string, number>>;
  /** Alphas in the same way. */
  alphaPattern: Readonly<Record<string, number>>;
  /** Modules that are trained and stored whole, such as `classifier`. */
  modulesToSave: readonly string[] | null;
  /** `CAUSAL_LM`, `SEQ_CLS` … */
  taskType: string | null;
  /** The model it was trained on, as it was named there. */
  baseModelNameOrPath: string | null;
  /** adapter_config.json as it was read, unknown fields included; empty for a new adapter. */
  raw: Readonly<Record<string, unknown>>;
}

const rank = z
  .number()
  .int()
  .min(1)
  .max(2 ** 20);
const alpha = z.number().positive().max(1e9);
const names = z.array(z.string()).max(100_000);
const namesOrOne = z.union([names, z.string()]).nullish();
const layer = z.number().int().min(0).max(100_000);

const patterns = (value: z.ZodNumber) =>
  z
    .record(z.string(), value)
    .refine((record) => Object.keys(record).length <= 20_000, 'more than 20,000 patterns')
    .nullish();

/** The fields that are understood; others are kept. */
const schema = z.looseObject({
  peft_type: z.string(),
  r: rank,
  lora_alpha: alpha,
  lora_dropout: z.number().min(0).lt(1).nullish(),
  use_rslora: z.boolean().nullish(),
  target_modules: namesOrOne,
  exclude_modules: namesOrOne,
  layers_to_transform: z.union([z.array(layer), layer]).nullish(),
  layers_pattern: namesOrOne,
  rank_pattern: patterns(rank),
  alpha_pattern: patterns(alpha),
  modules_to_save: names.nullish(),
  task_type: z.string().nullish(),
  base_model_name_or_path: z.string().nullish(),
});

/** Fields that change what is computed, and the values with which they don't. */
const NEUTRAL: Readonly<Record<string, readonly unknown[]>> = {
  peft_type: ['LORA'],
  bias: ['none', undefined, null],
  // The other initialisations change the base model's weights, or train in another way.
  init_lora_weights: [true, false, 'gaussian', 'orthogonal', 'eva', undefined, null],
};

/** Fields of the same kind that must be left out, null, false or empty. */
const UNUSED = [
  'alora_invocation_tokens',
  'arrow_config',
  'ensure_weight_tying',
  'fan_in_fan_out',
  'kasa_config',
  'layer_replication',
  'loftq_config',
  'lora_bias',
  'megatron_config',
  'monteclora_config',
  'target_parameters',
  'trainable_token_indices',
  'use_bdlora',
  'use_dora',
  'use_qalora',
  'velora_config',
] as const;

/**
 * Interprets the content of adapter_config.json.
 * @param what names the file in messages.
 * @throws EspalierError `FORMAT` when a field is missing or of a wrong type; `UNSUPPORTED`, naming
 * the field, for adapters other than plain LoRA.
 */
export function parseAdapterConfig(json: Record<string, unknown>, what: string): AdapterConfig {
  if (typeof json.peft_type !== 'string') {
    throw new EspalierError('FORMAT', `${what} has no peft_type`);
  }
  for (const [field, allowed] of Object.entries(NEUTRAL)) {
    if (!allowed.includes(json[field])) refuse(what, field, json[field]);
  }
  for (const field of UNUSED) if (!isEmpty(json[field])) refuse(what, field, json[field]);
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const field = issue?.path.join('.') || 'the whole';
    throw new EspalierError('FORMAT', `${what}: ${field}: ${issue?.message ?? 'invalid'}`);
  }
  const raw = parsed.data;
  return {
    r: raw.r,
    loraAlpha: raw.lora_alpha,
    loraDropout: raw.lora_dropout ?? 0,
    useRslora: raw.use_rslora ?? false,
    targetModules: raw.target_modules ?? null,
    excludeModules: raw.exclude_modules ?? null,
    layersToTransform: raw.layers_to_transform ?? null,
    layersPattern: raw.layers_pattern ?? null,
    rankPattern: raw.rank_pattern ?? {},
    alphaPattern: raw.alpha_pattern ?? {},
    modulesToSave: raw.modules_to_save ?? null,
    taskType: raw.task_type ?? null,
    baseModelNameOrPath: raw.base_model_name_or_path ?? null,
    raw: json,
  };
}

/** A configuration with PEFT's defaults, for what the caller doesn't say. */
export function makeAdapterConfig(fields: Partial<AdapterConfig> = {}): AdapterConfig {
  return {
    r: 8,
    loraAlpha: 8,
    loraDropout: 0,
    useRslora: false,
    targetModules: 'all-linear',
    excludeModules: null,
    layersToTransform: null,
    layersPattern: null,
    rankPattern: {},
    alphaPattern: {},
    modulesToSave: null,
    taskType: null,
    baseModelNameOrPath: null,
    raw: {},
    ...fields,
  };
}

/** The content of adapter_config.json: what was read stays, unknown fields included. */
export function encodeAdapterConfig(config: AdapterConfig): Record<string, unknown> {
  return {
    auto_mapping: null,
    bias: 'none',
    fan_in_fan_out: false,
    init_lora_weights: true,
    revision: null,
    use_dora: false,
    ...config.raw,
    peft_type: 'LORA',
    inference_mode: true,
    r: config.r,
    lora_alpha: config.loraAlpha,
    lora_dropout: config.loraDropout,
    use_rslora: config.useRslora,
    target_modules: config.targetModules,
    // Older versions of PEFT refuse fields that they don't know.
    ...(config.excludeModules === null ? {} : { exclude_modules: config.excludeModules }),
    layers_to_transform: config.layersToTransform,
    layers_pattern: config.layersPattern,
    rank_pattern: config.rankPattern,
    alpha_pattern: config.alphaPattern,
    modules_to_save: config.modulesToSave,
    task_type: config.taskType,
    base_model_name_or_path: config.baseModelNameOrPath,
  };
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

function refuse(what: string, field: string, value: unknown): never {
  const shown = JSON.stringify(value)?.slice(0, 80) ?? 'nothing';
  throw new EspalierError('UNSUPPORTED', `${what}: ${field} ${shown} is not supported`, {
    remedy: 'plain LoRA adapters are supported; merge others with PEFT',
    details: { field },
  });
}
