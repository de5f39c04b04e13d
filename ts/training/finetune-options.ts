import { EspalierError } from '../common/errors.js';
import type { LongOperationOptions } from '../common/events.js';
import type { WeightDType } from '../models/layer-weights.js';
import type { LrScheduleKind } from '../nn/lr-schedule.js';

/** What a model is trained for. */
export const FINETUNE_TASKS = ['causal-lm', 'instruct', 'classify'] as const;

/** What a model is trained for: to go on with text, to answer instructions, or to classify. */
export type FinetuneTask = (typeof FINETUNE_TASKS)[number];

/** Options of `finetune`. */
export interface FinetuneOptions extends LongOperationOptions {
  /** Where the adapter, or with `full` the model, appears once it is complete. */
  output: string;
  /** `.txt`, `.jsonl`, and for `classify` `.csv` or `.tsv`. */
  data: string | readonly string[];
  /** Default `causal-lm`. */
  task?: FinetuneTask;
  /** Rank of the adapters; default 8. */
  loraR?: number;
  /** Their `lora_alpha`; default twice the rank. */
  loraAlpha?: number;
  /** Probability with which training drops an input of the low-rank path; default 0. */
  loraDropout?: number;
  /** Probability of the dropout inside the layers of an encoder; default as its config.json says. */
  hiddenDropout?: number;
  /** Ends of module names, such as `q_proj`; default every linear layer but the head. */
  targetModules?: readonly string[] | 'all-linear';
  /** Layers that are adapted: all, the last K, or a list of numbers. Default all. */
  loraLayers?: 'all' | { last: number } | readonly number[];
  /** Ranks of single modules, by end of their name or regular expression, as PEFT's `rank_pattern`. */
  rankPattern?: Readonly<Record<string, number>>;
  /** Scale by alpha / √rank. Default false. */
  useRslora?: boolean;
  /** Train every weight instead of adapters. Default false. */
  full?: boolean;
  /** Passes over the data; default 3. Either this or `steps`. */
  epochs?: number;
  /** Optimiser steps. */
  steps?: number;
  /** Sequences in a batch; default 8. */
  batchSize?: number;
  /** Batches in an optimiser step; default 1. */
  gradientAccumulation?: number;
  /** Tokens of a sample at most; default 512, or the model's positions when they are fewer. */
  maxLength?: number;
  /** Put the rows of JSON lines one after the other into windows of `maxLength`. Default false. */
  packing?: boolean;
  /** Highest learning rate; default 2e-4 for adapters, 2e-5 with `full`. */
  lr?: number;
  /** How it goes on after the warm-up; default `linear`. */
  schedule?: LrScheduleKind;
  /** Steps over which it rises; default 0. */
  warmup?: number;
  /** Decoupled weight decay; default 0. */
  weightDecay?: number;
  /** Global norm that gradients are clipped to; 0 turns it off. Default 1. */
  maxGradNorm?: number;
  /** Data that is not trained on, in the same form. */
  evalData?: string | readonly string[];
  /** Steps between two evaluations; default once a pass. Needs `evalData`. */
  evalEvery?: number;
  /** Stop after this many evaluations without a new best; the best weights are kept. Default never. */
  earlyStopping?: number;
  /** Steps between two checkpoints; default 200. */
  saveEvery?: number;
  /** Go on where an interrupted run with the same options stopped. Default false. */
  resume?: boolean;
  /** Replace the output once the new one is complete. Default false. */
  force?: boolean;
  /** Keep less for the way back and compute each layer again. Default false. */
  gradientCheckpointing?: boolean;
  /** Leave unusable rows out, and count them, instead of failing. Default false. */
  skipBadRows?: boolean;
  /** Columns with the text or the pair of texts, for `classify`; default found by name. */
  textColumns?: readonly string[];
  /** Column with the class; default found by name. */
  labelColumn?: string;
  /** Bytes for keeping what the layers below the lowest adapter give, per sample; those of an encoder
   * need `hiddenDropout` 0. Default 0. */
  prefixCache?: number;
  /** Seed of every random choice; default 0. */
  seed?: number;
  /** In which dtype frozen weights are held, see `loadModel`; default `auto`. */
  dtype?: WeightDType;
  /** Where it computes; default `auto`. */
  device?: string;
}

/** {@link FinetuneOptions} with every default filled in. */
export interface ResolvedFinetune {
  data: readonly string[];
  evalData: readonly string[];
  task: FinetuneTask;
  loraR: number;
  loraAlpha: number;
  loraDropout: number;
  hiddenDropout: number | undefined;
  targetModules: readonly string[] | 'all-linear';
  loraLayers: 'all' | { last: number } | readonly number[];
  rankPattern: Readonly<Record<string, number>>;
  useRslora: boolean;
  full: boolean;
  epochs: number | undefined;
  steps: number | undefined;
  batchSize: number;
  gradientAccumulation: number;
  maxLength: number;
  packing: boolean;
  lr: number;
  schedule: LrScheduleKind;
  warmup: number;
  weightDecay: number;
  maxGradNorm: number;
  evalEvery: number | undefined;
  earlyStopping: number | undefined;
  saveEvery: number;
  gradientCheckpointing: boolean;
  skipBadRows: boolean;
  textColumns: readonly string[] | undefined;
  labelColumn: string | undefined;
  prefixCache: number;
  seed: number;
  dtype: WeightDType;
}

function listOf(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

/**
 * Fills in the defaults and checks the ranges.
 * @throws EspalierError `CONFIG` naming the option
 */
export function resolveFinetune(options: FinetuneOptions): ResolvedFinetune {
  const { full = false, loraR = 8, epochs, steps } = options;
  const resolved: ResolvedFinetune = {
    data: listOf(options.data),
    evalData: listOf(options.evalData),
    task: options.task ?? 'causal-lm',
    loraR,
    loraAlpha: options.loraAlpha ?? 2 * loraR,
    loraDropout: options.loraDropout ?? 0,
    hiddenDropout: options.hiddenDropout,
    targetModules: options.targetModules ?? 'all-linear',
    loraLayers: options.loraLayers ?? 'all',
    rankPattern: options.rankPattern ?? {},
    useRslora: options.useRslora ?? false,
    full,
    epochs: epochs ?? (steps === undefined ? 3 : undefined),
    steps,
    batchSize: options.batchSize ?? 8,
    gradientAccumulation: options.gradientAccumulation ?? 1,
    maxLength: options.maxLength ?? 512,
    packing: options.packing ?? false,
    lr: options.lr ?? (full ? 2e-5 : 2e-4),
    schedule: options.schedule ?? 'linear',
    warmup: options.warmup ?? 0,
    weightDecay: options.weightDecay ?? 0,
    maxGradNorm: options.maxGradNorm ?? 1,
    evalEvery: options.evalEvery,
    earlyStopping: options.earlyStopping,
    saveEvery: options.saveEvery ?? 200,
    gradientCheckpointing: options.gradientCheckpointing ?? false,
    skipBadRows: options.skipBadRows ?? false,
    textColumns: options.textColumns,
    labelColumn: options.labelColumn,
    prefixCache: options.prefixCache ?? 0,
    seed: options.seed ?? 0,
    dtype: options.dtype ?? 'auto',
  };
  check(resolved);
  return resolved;
}

function check(resolved: ResolvedFinetune): void {
  const refuse = (option: string, expected: string, got: unknown): never => {
    throw new EspalierError('CONFIG', `${option} must be ${expected}, got ${String(got)}`, {
      op: 'finetune',
      details: { option },
    });
  };
  const whole = (option: keyof ResolvedFinetune, low: number) => {
    const value = resolved[option] as number | undefined;
    if (value === undefined || (Number.isSafeInteger(value) && value >= low)) return;
    refuse(option, `a whole number of at least ${low}`, value);
  };
  const number = (option: keyof ResolvedFinetune, low: number) => {
    const value = resolved[option] as number;
    if (!(Number.isFinite(value) && value >= low)) refuse(option, `at least ${low}`, value);
  };
  if (!FINETUNE_TASKS.includes(resolved.task)) {
    refuse('task', FINETUNE_TASKS.join(', '), resolved.task);
  }
  if (resolved.data.length === 0) refuse('data', 'at least one file', 'none');
  if (resolved.epochs !== undefined && resolved.steps !== undefined) {
    refuse('steps', 'left out when epochs are given', resolved.steps);
  }
  for (const option of ['loraR', 'epochs', 'steps', 'batchSize', 'gradientAccumulation'] as const) {
    whole(option, 1);
  }
  for (const option of ['evalEvery', 'earlyStopping', 'saveEvery'] as const) whole(option, 1);
  for (const option of ['warmup', 'seed', 'prefixCache'] as const) whole(option, 0);
  whole('maxLength', 2);
  for (const option of ['lr', 'weightDecay', 'maxGradNorm'] as const) number(option, 0);
  const { evalData, loraLayers } = resolved;
  for (const option of ['loraDropout', 'hiddenDropout'] as const) {
    const value = resolved[option] ?? 0;
    if (!(value >= 0 && value < 1)) refuse(option, 'in [0, 1)', value);
  }
  for (const option of ['evalEvery', 'earlyStopping'] as const) {
    if (resolved[option] !== undefined && evalData.length === 0) {
      refuse(option, 'given together with evalData', 'no evalData');
    }
  }
  const numbers = typeof loraLayers === 'string' ? [] : 'last' in loraLayers ? [] : loraLayers;
  for (const layer of numbers) {
    if (!Number.isSafeInteger(layer) || layer < 0) refuse('loraLayers', 'layer numbers', layer);
  }
}
