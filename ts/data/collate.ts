import { IGNORED, type Sample } from './sample.js';

/** Samples side by side, padded on the right to the longest. */
export interface Batch {
  /** [batch, sequence] */
  inputIds: Int32Array;
  /** [batch, sequence]: 1 for tokens, 0 for padding. */
  attentionMask: Uint8Array;
  /** [batch, sequence] for a language model, -100 where nothing is learnt; [batch] for a classifier. */
  labels: Int32Array;
  /** [batch, sequence], where the samples have types. */
  typeIds?: Uint8Array;
  /** How many samples. */
  batch: number;
  /** Tokens of the longest one. */
  sequence: number;
  /** Tokens of all of them, without padding. */
  tokens: number;
  /** Numbers of the samples in their source. */
  samples: readonly number[];
}

/**
 * Puts samples side by side.
 * @param numbers of the samples in their source
 * @param padId id that fills the places of no token; default 0
 */
export function collate(samples: readonly Sample[], numbers: readonly number[], padId = 0): Batch {
  const batch = samples.length;
  const sequence = Math.max(1, ...samples.map(({ inputIds }) => inputIds.length));
  const classes = samples.every(({ labels }) => typeof labels === 'number');
  const typed = samples.some(({ typeIds }) => typeIds !== undefined);
  const inputIds = new Int32Array(batch * sequence).fill(padId);
  const attentionMask = new Uint8Array(batch * sequence);
  const labels = classes
    ? Int32Array.from(samples, (sample) => sample.labels as number)
    : new Int32Array(batch * sequence).fill(IGNORED);
  const typeIds = typed ? new Uint8Array(batch * sequence) : undefined;
  let tokens = 0;
  for (const [row, sample] of samples.entries()) {
    const start = row * sequence;
    const { length } = sample.inputIds;
    tokens += length;
    inputIds.set(sample.inputIds, start);
    attentionMask.fill(1, start, start + length);
    if (!classes) labels.set(sample.labels as Int32Array, start);
    if (sample.typeIds !== undefined) typeIds?.set(sample.typeIds, start);
  }
  return {
    inputIds,
    attentionMask,
    labels,
    ...(typeIds === undefined ? {} : { typeIds }),
    batch,
    sequence,
    tokens,
    samples: numbers,
  };
}
