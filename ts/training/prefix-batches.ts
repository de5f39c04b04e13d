import { layoutRows, type SharedPrefixLayout } from '../models/shared-prefix.js';
import type { EncodedChoice, EncodedQuestion } from './encode-question.js';

/** Questions that go through the model together. */
export interface PrefixBatch {
  /** Indices of the questions. */
  members: number[];
  layout: SharedPrefixLayout;
}

/** A batch is filled up to here even when its members are of different lengths. */
const LEAST_ROWS = 256;

/** Beyond that, a question joins only where it costs less than this many times its rows alone. */
const MOST_WASTE = 1.25;

/**
 * Sorts questions into batches of up to `budget` rows, alike in length. In a batch, each question's
 * context is computed once up to the batch's shortest one; what differs between the choices follows
 * for each of them, filled up to the longest.
 */
export function planPrefixBatches(
  questions: readonly Pick<EncodedQuestion, 'choices'>[],
  budget: number,
): PrefixBatch[] {
  const measured = questions.map(({ choices }, index) => ({
    index,
    choices: choices.length,
    shared: sharedTokens(choices),
    longest: Math.max(...choices.map(({ input }) => input.length)),
  }));
  type Measured = (typeof measured)[number];
  measured.sort((a, b) => a.shared - b.shared || a.longest - b.longest || a.index - b.index);
  const rowsOf = (count: number, endings: number, shared: number, longest: number) =>
    count * shared + endings * (longest - shared);
  const batches: PrefixBatch[] = [];
  let open: Measured[] = [];
  let endings = 0;
  let longest = 0;
  const close = () => {
    if (open.length > 0)
      batches.push({ members: open.map(({ index }) => index), layout: layout() });
    [open, endings, longest] = [[], 0, 0];
  };
  const layout = (): SharedPrefixLayout => {
    const prefixLength = open[0]?.shared ?? 0;
    return {
      prefixes: open.length,
      prefixLength,
      endingLength: longest - prefixLength,
      prefixOf: open.flatMap(({ choices }, i) => Array<number>(choices).fill(i)),
    };
  };
  for (const one of measured) {
    // Sorted by what is shared: the first member has the least.
    const shared = open[0]?.shared ?? one.shared;
    const before = rowsOf(open.length, endings, shared, longest);
    const after = rowsOf(
      open.length + 1,
      endings + one.choices,
      shared,
      Math.max(longest, one.longest),
    );
    const alone = rowsOf(1, one.choices, one.shared, one.longest);
    if (after > budget || (before >= LEAST_ROWS && after - before > MOST_WASTE * alone)) close();
    open.push(one);
    endings += one.choices;
    longest = Math.max(longest, one.longest);
  }
  close();
  return batches;
}

/** The token ids of a batch's rows; what fills up the endings is 0, which nothing looks at. */
export function batchIds(
  { members, layout }: PrefixBatch,
  questions: readonly Pick<EncodedQuestion, 'choices'>[],
): Int32Array {
  const { prefixes, prefixLength, endingLength } = layout;
  const ids = new Int32Array(layoutRows(layout));
  let at = prefixes * prefixLength;
  for (const [i, member] of members.entries()) {
    const choices = questions[member]?.choices ?? [];
    ids.set((choices[0] as EncodedChoice).input.subarray(0, prefixLength), i * prefixLength);
    for (const { input } of choices) {
      ids.set(input.subarray(prefixLength), at);
      at += endingLength;
    }
  }
  return ids;
}

/** The rows of a batch that predict a continuation, and what they predict, choice after choice. */
export function batchTargets(
  { members, layout }: PrefixBatch,
  questions: readonly Pick<EncodedQuestion, 'choices'>[],
): { rows: Int32Array; targets: Int32Array } {
  const { prefixes, prefixLength, endingLength } = layout;
  const rows: number[] = [];
  const targets: number[] = [];
  let start = prefixes * prefixLength;
  for (const member of members) {
    for (const { input, targets: wanted } of questions[member]?.choices ?? []) {
      const first = start + input.length - prefixLength - wanted.length;
      for (const [i, id] of wanted.entries()) {
        rows.push(first + i);
        targets.push(id);
      }
      start += endingLength;
    }
  }
  return { rows: Int32Array.from(rows), targets: Int32Array.from(targets) };
}

/** Tokens that all choices begin with, up to the first position that predicts a target. */
function sharedTokens(choices: readonly EncodedChoice[]): number {
  const [first, ...others] = choices as [EncodedChoice, ...EncodedChoice[]];
  let shared = Math.min(...choices.map(({ input, targets }) => input.length - targets.length));
  for (const { input } of others) {
    let same = 0;
    while (same < shared && input[same] === first.input[same]) same++;
    shared = same;
  }
  return shared;
}
