import { availableMemory } from '../native/available-memory.js';
import { EspalierError } from '../common/errors.js';
import type { TextWindows } from '../data/text-windows.js';
import { tensorDType } from '../formats/safetensors-dtype.js';
import type { Checkpoint } from '../models/checkpoint.js';
import { activationBytes } from '../models/memory-estimate.js';
import type { WeightDType } from '../models/layer-weights.js';
import { parameterCounts } from '../models/parameter-counts.js';

/** How an evaluation uses memory. */
export interface EvaluationPlan {
  /** Windows computed at once. */
  batch: number;
  /** Windows whose streams are held at once: all layers see them before the next ones come. */
  chunk: number;
  /** All weights stay loaded; otherwise one layer at a time. */
  resident: boolean;
  /** How weights are loaded, and multiplied. */
  load: WeightDType;
  /** The dtype in which the weights are held. */
  dtype: string;
}

/** Tokens of a batch that keep the processor busy while intermediates stay near its caches. */
const BATCH_TOKENS = 2048;

/** What the process needs beside weights and intermediates: code, JavaScript heap, libraries. */
const BASE_BYTES = 200e6;

/** The options that a plan depends on. */
export interface EvaluationPlanOptions {
  /** Windows computed at once. */
  batch?: number | undefined;
  /** In bytes; default 80 % of what is free on the device. */
  maxMemory?: number | undefined;
  /** How weights are held; default `auto`, as stored. */
  dtype?: 'auto' | 'f32' | 'bf16' | 'stored' | undefined;
}

/**
 * Checks the options of a plan before anything is loaded.
 * @throws EspalierError `CONFIG` for a batch or dtype that makes no sense.
 */
export function checkPlanOptions({
  batch,
  dtype = 'auto',
}: Pick<EvaluationPlanOptions, 'batch' | 'dtype'>): void {
  if (batch !== undefined && !(Number.isInteger(batch) && batch >= 1)) {
    throw new EspalierError('CONFIG', `batch must be a whole number from 1, got ${batch}`);
  }
  if (!['auto', 'f32', 'bf16', 'stored'].includes(dtype)) {
    throw new EspalierError('CONFIG', `dtype must be auto, f32, bf16 or stored, got ${dtype}`);
  }
}

/**
 * Decides how to evaluate within the memory: all weights loaded if they fit, else layer by layer.
 * Weights are converted only when asked: 16-bit ones give the same bits in half the room.
 * @throws EspalierError `CONFIG` when not even one layer fits.
 */
export function planEvaluation(
  checkpoint: Checkpoint,
  windows: Pick<TextWindows, 'window' | 'count'>,
  options: EvaluationPlanOptions,
): EvaluationPlan {
  const { batch: asked, dtype = 'auto' } = options;
  const { maxMemory = 0.8 * availableMemory(checkpoint.device) } = options;
  const { config } = checkpoint;
  const { window, count } = windows;
  const stored = storedDType(checkpoint);
  const counts = parameterCounts(config);
  const load = dtype === 'stored' ? 'auto' : dtype;
  const held = load === 'auto' ? stored : load;
  const bytesPer = held === 'f32' ? 4 : 2;
  const free = maxMemory - BASE_BYTES;
  // Two batches are in flight.
  const perWindow = 2 * window * (activationBytes(config) + 4 * config.hiddenSize);
  const batchFor = (weights: number) => {
    const fitting = Math.floor((free - weights) / perWindow);
    return Math.min(
      count,
      asked ?? Math.min(Math.max(1, Math.round(BATCH_TOKENS / window)), fitting),
    );
  };
  const resident = batchFor(counts.total * bytesPer);
  if (resident >= 1 && counts.total * bytesPer + resident * perWindow <= free) {
    return { batch: resident, chunk: resident, resident: true, load, dtype: held };
  }
  const layer = Math.max(...counts.layers.map(({ total }) => total));
  const weights = (layer + counts.embedding + counts.head) * bytesPer;
  const batch = Math.max(1, batchFor(weights));
  const rest = free - weights - batch * perWindow;
  if (rest < 0) {
    const needed = Math.ceil((maxMemory - rest) / 1e6);
    throw new EspalierError('CONFIG', `this evaluation needs about ${needed} MB of memory`, {
      remedy: 'raise maxMemory, or use a smaller window or batch',
    });
  }
  const streams = Math.floor(rest / (4 * window * config.hiddenSize));
  const chunk = Math.min(count, Math.max(batch, Math.floor(streams / batch) * batch));
  return { batch, chunk, resident: false, load, dtype: held };
}

/** The dtype that holds most of the weights. */
function storedDType(checkpoint: Checkpoint): string {
  const bytes = new Map<string, number>();
  for (const entry of checkpoint.index.entries.values()) {
    const dtype = tensorDType(entry.dtype) ?? 'f32';
    bytes.set(dtype, (bytes.get(dtype) ?? 0) + entry.bytes);
  }
  return [...bytes].reduce((most, each) => (each[1] > most[1] ? each : most), ['f32', -1])[0];
}
