import { EspalierError } from '../common/errors.js';
import type { LocatedQuestion } from '../data/tasks/read-questions.js';
import { stripEnd } from '../data/tasks/python-text.js';
import type { Choice } from '../data/tasks/task.js';

/** One choice as the model sees it. */
export interface EncodedChoice {
  /** Context and continuation without the last token, which nothing has to follow. */
  input: Int32Array;
  /** The continuation: what the last positions of `input` predict. */
  targets: Int32Array;
}

/** A question as the model sees it. */
export interface EncodedQuestion {
  question: LocatedQuestion;
  choices: EncodedChoice[];
  /** Contexts that were too long and lost their beginning. */
  truncated: number;
}

/** Token ids of texts, with the tokenizer's own special tokens. */
export type EncodeTexts = (texts: readonly string[]) => Promise<readonly Int32Array[]>;

/**
 * Tokenizes questions as lm-evaluation-harness does: context and continuation as one text, of which
 * the continuation is what follows as many tokens as the context alone has; white space at the end of
 * a context belongs to the continuation; what is too long loses its beginning.
 * @param positions the most tokens that the model takes
 * @throws EspalierError `FORMAT` naming the row for a continuation without tokens, `CONFIG` for one
 * that is longer than the model's positions.
 */
export async function encodeQuestions(
  questions: readonly LocatedQuestion[],
  encode: EncodeTexts,
  { path, positions }: { path: string; positions: number },
): Promise<EncodedQuestion[]> {
  // The choices of most tasks share one context: it is tokenized once.
  const order = new Map<string, number>();
  const add = (text: string) => {
    if (!order.has(text)) order.set(text, order.size);
    return text;
  };
  const texts = questions.map(({ choices }) =>
    choices.map(({ context, continuation }: Choice) => ({
      context: add(stripEnd(context)),
      whole: add(context + continuation),
    })),
  );
  const ids = await encode([...order.keys()]);
  const idsOf = (text: string) => ids[order.get(text) as number] as Int32Array;
  return questions.map((question, i) => {
    let truncated = 0;
    const choices = (texts[i] ?? []).map(({ context, whole }) => {
      const before = idsOf(context);
      const targets = idsOf(whole).subarray(before.length);
      refuseUnscorable(targets, before, `${path}, line ${question.line}`, positions);
      const all = new Int32Array(before.length + targets.length);
      all.set(before);
      all.set(targets, before.length);
      if (all.length > positions + 1) truncated++;
      return { input: all.slice(-positions - 1).subarray(0, -1), targets };
    });
    return { question, choices, truncated };
  });
}

function refuseUnscorable(
  targets: Int32Array,
  context: Int32Array,
  place: string,
  positions: number,
): void {
  if (targets.length === 0 || context.length === 0) {
    const what = targets.length === 0 ? 'a choice adds no token to its context' : 'no context';
    throw new EspalierError('FORMAT', `${place}: ${what}`, {
      remedy: "complete the row, or check that the tokenizer is the model's own",
    });
  }
  if (targets.length > positions) {
    throw new EspalierError(
      'CONFIG',
      `${place}: a choice has ${targets.length} tokens, but the model has only ${positions} positions`,
    );
  }
}
