import { EspalierError } from '../common/errors.js';

/** Equally long token sequences, one after the other. */
export interface TokenBatch {
  /** [batch · sequence] */
  inputIds: Int32Array;
  /** [batch · sequence], 0 for padding; default none. */
  attentionMask?: Uint8Array;
  /** [batch · sequence] for language models (-100: not trained on), [batch] for classifiers. */
  labels?: Int32Array;
  /** [batch · sequence], the segment of each token for BERT; default 0. */
  typeIds?: Uint8Array;
  /** Number of sequences. */
  batch: number;
  /** Tokens of each. */
  sequence: number;
}

/** Token ids as lists, or as a batch that is laid out already. */
export type InputIds = readonly (readonly number[])[] | TokenBatch;

/** What accompanies {@link InputIds} given as lists. */
export interface TokenBatchOptions {
  /** 1 for tokens, 0 for padding; default all 1. */
  attentionMask?: readonly (readonly number[])[];
  /** One list per sequence (-100: not trained on), or one class per sequence. */
  labels?: readonly (readonly number[])[] | readonly number[];
  /** The segment of each token, for BERT. */
  tokenTypeIds?: readonly (readonly number[])[];
}

/** What a model can take. */
export interface TokenLimits {
  vocabSize: number;
  maxPositionEmbeddings: number;
}

function refuse(what: string, expected: string, got: unknown): never {
  throw new EspalierError('SHAPE', `${what}: expected ${expected}, got ${got}`);
}

function flatten<A extends Int32Array | Uint8Array>(
  what: string,
  rows: readonly (readonly number[])[],
  sequence: number,
  flat: A,
  accepts: (value: number) => boolean,
  expected: string,
): A {
  for (const [i, row] of rows.entries()) {
    if (row.length !== sequence) refuse(what, `${sequence} tokens in sequence ${i}`, row.length);
    for (const [j, value] of row.entries()) {
      if (!Number.isInteger(value) || !accepts(value)) refuse(what, expected, value);
      flat[i * sequence + j] = value;
    }
  }
  return flat;
}

/**
 * Lays token ids out as one batch and checks them against what the model can take.
 * @throws EspalierError `SHAPE` for ragged, empty or too long sequences, ids out of range, and masks
 * or labels that do not fit.
 */
export function tokenBatch(
  inputIds: InputIds,
  limits: TokenLimits,
  options: TokenBatchOptions = {},
): TokenBatch {
  const result = 'inputIds' in inputIds ? inputIds : fromLists(inputIds, limits, options);
  const { batch, sequence } = result;
  const { maxPositionEmbeddings, vocabSize } = limits;
  if (!(batch >= 1 && sequence >= 1)) {
    refuse('inputIds', 'at least one sequence of at least one token', 'none');
  }
  if (sequence > maxPositionEmbeddings) {
    refuse('inputIds', `at most ${maxPositionEmbeddings} tokens, the model's positions`, sequence);
  }
  const size = batch * sequence;
  for (const key of ['inputIds', 'attentionMask', 'typeIds'] as const) {
    const array = result[key];
    if (array !== undefined && array.length !== size) refuse(key, `${size} elements`, array.length);
  }
  for (const id of result.inputIds) {
    if (id < 0 || id >= vocabSize) refuse('inputIds', `token ids from 0 to ${vocabSize - 1}`, id);
  }
  return result;
}

function fromLists(
  lists: readonly (readonly number[])[],
  { vocabSize }: TokenLimits,
  { attentionMask, labels, tokenTypeIds }: TokenBatchOptions,
): TokenBatch {
  const batch = lists.length;
  const sequence = lists[0]?.length ?? 0;
  const sameCount = (what: string, rows: readonly unknown[]) => {
    if (rows.length !== batch) refuse(what, `${batch} sequences, as many as inputIds`, rows.length);
  };
  const size = batch * sequence;
  const ids = `token ids from 0 to ${vocabSize - 1}`;
  const known = (id: number) => id >= 0 && id < vocabSize;
  const result: TokenBatch = {
    inputIds: flatten('inputIds', lists, sequence, new Int32Array(size), known, ids),
    batch,
    sequence,
  };
  if (attentionMask !== undefined) {
    sameCount('attentionMask', attentionMask);
    const binary = (value: number) => value === 0 || value === 1;
    const mask = new Uint8Array(size);
    result.attentionMask = flatten(
      'attentionMask',
      attentionMask,
      sequence,
      mask,
      binary,
      '0 or 1',
    );
  }
  if (tokenTypeIds !== undefined) {
    sameCount('tokenTypeIds', tokenTypeIds);
    const types = new Uint8Array(size);
    const small = (value: number) => value >= 0 && value < 256;
    const expected = 'a segment from 0 to 255';
    result.typeIds = flatten('tokenTypeIds', tokenTypeIds, sequence, types, small, expected);
  }
  if (labels !== undefined) {
    sameCount('labels', labels);
    if (typeof labels[0] === 'number') {
      const whole = (labels as readonly number[]).find((label) => !Number.isInteger(label));
      if (whole !== undefined) refuse('labels', 'whole numbers', whole);
      result.labels = Int32Array.from(labels as readonly number[]);
    } else {
      const rows = labels as readonly (readonly number[])[];
      const target = (id: number) => known(id) || id === -100;
      const expected = `${ids}, or -100`;
      result.labels = flatten('labels', rows, sequence, new Int32Array(size), target, expected);
    }
  }
  return result;
}
