import { extname } from 'node:path';
import { EspalierError } from '../common/errors.js';
import type { LongOperationOptions } from '../common/events.js';
import { Batches } from '../data/batches.js';
import { openCausalSamples } from '../data/causal-samples.js';
import { openLabelledSamples } from '../data/labelled-samples.js';
import type { SampleSource } from '../data/sample.js';
import type { Tokenizer } from '../data/tokenizer.js';
import type { ResolvedFinetune } from './finetune-options.js';

/** The data of a training, opened. */
export interface FinetuneData {
  train: Batches;
  /** What is not trained on, if there is any. */
  heldOut: Batches | undefined;
  /** Names of the classes, for `classify`. */
  labels: readonly string[] | undefined;
  /** Samples trained on, and rows left out. */
  samples: number;
  skippedRows: number;
  dispose(): Promise<void>;
}

/**
 * Opens the files of a training.
 * @throws EspalierError as `openCausalSamples` and `openLabelledSamples`
 */
export async function openFinetuneData(
  tokenizer: Tokenizer,
  options: ResolvedFinetune,
  maxLength: number,
  { signal, onProgress, known }: LongOperationOptions & { known?: readonly string[] },
): Promise<FinetuneData> {
  const { task, batchSize, seed, skipBadRows, packing, textColumns, labelColumn } = options;
  const { padId = 0 } = await tokenizer.tokens(signal);
  const long = { ...(signal && { signal }), ...(onProgress && { onProgress }) };
  const opened: SampleSource[] = [];
  const open = async (files: readonly string[], labels?: readonly string[]) => {
    if (task !== 'classify') {
      refuseOtherKinds(task, files);
      return openCausalSamples(files, tokenizer, { ...long, maxLength, packing, skipBadRows });
    }
    return openLabelledSamples(files, tokenizer, {
      ...long,
      maxLength,
      skipBadRows,
      ...(textColumns && { textColumns }),
      ...(labelColumn !== undefined && { labelColumn }),
      ...(labels && { labels }),
      ...(known && { known }),
    });
  };
  const dispose = async () => {
    for (const source of opened) await source.dispose();
  };
  try {
    const source = await open(options.data);
    opened.push(source);
    const labels = 'labels' in source ? (source.labels as readonly string[]) : undefined;
    const train = new Batches(source, { batchSize, seed, padId });
    let heldOut: Batches | undefined;
    if (options.evalData.length > 0) {
      const other = await open(options.evalData, labels);
      opened.push(other);
      heldOut = new Batches(other, { batchSize, shuffle: false, padId });
    }
    const skippedRows = opened.reduce((sum, { skippedRows: rows }) => sum + rows, 0);
    return { train, heldOut, labels, samples: source.count, skippedRows, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function refuseOtherKinds(task: string, files: readonly string[]): void {
  const text = files.find((file) => extname(file).toLowerCase() === '.txt');
  if (task !== 'instruct' || text === undefined) return;
  throw new EspalierError('CONFIG', `data: ${text} holds no instructions`, {
    op: 'finetune',
    remedy: 'give .jsonl with {prompt, completion} or {messages}, or use the task causal-lm',
  });
}
