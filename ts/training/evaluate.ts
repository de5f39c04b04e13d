import { throwIfAborted } from '../common/abort.js';
import { packageVersion } from '../common/environment.js';
import { EspalierError } from '../common/errors.js';
import type { LongOperationOptions } from '../common/events.js';
import { parseBytes } from '../common/parse-bytes.js';
import { checkWindowOptions, cutWindows } from '../data/text-windows.js';
import { Tokenizer } from '../data/tokenizer.js';
import type { ModelConfig } from '../formats/model-config.js';
import { Checkpoint } from '../models/checkpoint.js';
import type { AdapterSet } from '../nn/adapter-set.js';
import { resolveDevice } from '../native/resolve-device.js';
import { checkTokenIds } from './check-token-ids.js';
import { checkPlanOptions, planEvaluation } from './evaluation-plan.js';
import { openAdapter } from './open-adapter.js';
import { windowLosses } from './window-losses.js';

/** Options of {@link evaluate}. */
export interface EvaluateOptions extends LongOperationOptions {
  /** The text file, UTF-8. */
  text: string;
  /** Tokens in a window; default 128. */
  window?: number;
  /** Distance between windows in tokens; default `window`. */
  stride?: number;
  /** Use only the first windows. */
  maxWindows?: number;
  /** Windows computed at once; default: what suits the processor's caches and the memory. */
  batch?: number;
  /**
   * Memory to stay under, in bytes or as `2GB`; default: 80 % of what is free. A model that does not
   * fit is evaluated layer by layer.
   */
  maxMemory?: number | string;
  /** Default `auto`: the CPU. */
  device?: string;
  /**
   * How weights are held: `auto`, the default, and `stored` keep them as they are; `f32` converts them
   * once. These compute in f32 with the same bits. `bf16` holds them in bf16 and multiplies bf16 with
   * sums in f32, where the processor is faster at it.
   */
  dtype?: 'auto' | 'f32' | 'bf16' | 'stored';
  /** A PEFT directory whose adapter is put in force; default none. */
  adapter?: string;
}

/** What {@link evaluate} measures. */
export interface Evaluation {
  /** exp(nll) */
  perplexity: number;
  /** Mean over windows of the mean negative log-likelihood of a window's predictions, in nats. */
  nll: number;
  /** nll in bits, per byte of text instead of per token. */
  bitsPerByte: number;
  /** Tokens of the whole text. */
  tokens: number;
  /** How many windows were evaluated. */
  windows: number;
  window: number;
  stride: number;
  /**
   * Time of the evaluation itself, without tokenizing and without loading weights; a model that is
   * evaluated layer by layer is loaded in it.
   */
  seconds: number;
  /** Tokens that went through the model, per second. */
  tokensPerSecond: number;
  /** Largest resident memory of the process so far, mapped weights included. */
  peakMemoryBytes: number;
  model: string;
  device: string;
  /** The dtype in which the weights were held. */
  dtype: string;
  version: string;
}

/**
 * Measures the perplexity of a model on a text: one string, tokenized once with the tokenizer's own
 * special tokens, cut into windows, each contributing the mean over its predictions (with a stride:
 * over those of its new tokens).
 * @throws EspalierError `CONFIG` for options out of range, a text shorter than a window, or a window
 * longer than the model's positions; `FORMAT` and `UNSUPPORTED` for files; `OUT_OF_MEMORY`;
 * `ABORTED`.
 */
export async function evaluate(directory: string, options: EvaluateOptions): Promise<Evaluation> {
  const { text, window = 128, signal, onProgress } = options;
  const { device } = resolveDevice(options.device);
  const maxMemory =
    options.maxMemory === undefined ? undefined : parseBytes(options.maxMemory, 'maxMemory');
  checkWindowOptions({ ...options, window });
  checkPlanOptions(options);
  const checkpoint = await Checkpoint.open(directory, { device });
  let adapter: AdapterSet | undefined;
  try {
    adapter = await openAdapter(checkpoint, options.adapter);
    const { config } = checkpoint;
    checkWindow(window, config);
    onProgress?.({ phase: 'tokenize', completed: 0, total: 1, unit: 'texts' });
    const { ids, bytes } = await tokenize(directory, text, signal);
    checkTokenIds(ids, config, directory);
    const windows = cutWindows(ids, { ...options, window });
    const plan = planEvaluation(checkpoint, windows, { ...options, maxMemory });
    const hooks = { adapter, signal, onProgress };
    const { means, seconds } = await windowLosses(checkpoint, windows, plan, hooks);
    throwIfAborted(signal, 'evaluate');
    const nll = means.reduce((sum, mean) => sum + mean, 0) / means.length;
    return {
      perplexity: Math.exp(nll),
      nll,
      bitsPerByte: (nll / Math.LN2) * (ids.length / bytes),
      tokens: ids.length,
      windows: windows.count,
      window,
      stride: windows.stride,
      seconds,
      tokensPerSecond: (windows.count * window) / seconds,
      peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
      model: directory,
      device,
      dtype: plan.dtype,
      version: packageVersion(),
    };
  } finally {
    adapter?.dispose();
    checkpoint.close();
  }
}

function checkWindow(window: number, { maxPositionEmbeddings }: ModelConfig): void {
  if (window <= maxPositionEmbeddings) return;
  throw new EspalierError(
    'CONFIG',
    `window is ${window} tokens, but the model has only ${maxPositionEmbeddings} positions`,
    {
      remedy: `use a window of at most ${maxPositionEmbeddings}`,
      details: { option: 'window', value: window },
    },
  );
}

async function tokenize(directory: string, path: string, signal: AbortSignal | undefined) {
  const tokenizer = await Tokenizer.open(directory, signal);
  try {
    return await tokenizer.encodeFile(path, signal === undefined ? {} : { signal });
  } finally {
    await tokenizer.dispose();
  }
}
