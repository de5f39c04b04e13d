import { type Context, createContext, Script } from 'node:vm';
import { EspalierError } from '../common/errors.js';

/** Longest pattern that is believed; those that fine-tuning tools write stay under 2,000 characters. */
const MAX_PATTERN = 10_000;

/** How long one pattern may look at all names; honest ones need microseconds. */
const TIME_LIMIT_MS = 2000;

/** What Python spells differently from JavaScript. */
const FOREIGN = /\(\?P[=>]|\(\?[aiLmsux-]+[):]|\(\?#|\(\?\(|\\[AZ]|[*+?}]\+/;

const test = new Script('names.map((name) => expression.test(name))');
let context: Context | undefined;

/**
 * Which of the names match a Python regular expression out of a file that is not trusted. The names
 * are looked at in a context of their own under a time limit, so that no pattern can stop the process.
 * @param before regular expression in front of the pattern, in JavaScript's spelling
 * @param after regular expression behind it
 * @throws EspalierError `UNSUPPORTED` for a spelling that JavaScript doesn't have or one that takes
 * too long, `FORMAT` for a broken one.
 */
export function matchNames(
  pattern: string,
  names: readonly string[],
  { before = '^', after = '$' }: { before?: string; after?: string } = {},
): boolean[] {
  if (pattern.length > MAX_PATTERN || FOREIGN.test(pattern)) {
    throw new EspalierError('UNSUPPORTED', `the pattern ${quoted(pattern)} is not supported`, {
      remedy: 'write it without inline flags, possessive quantifiers and named back-references',
    });
  }
  let expression: RegExp;
  try {
    // A group of its own, as in PEFT: alternatives stay together.
    expression = new RegExp(`${before}(${pattern.replaceAll('(?P<', '(?<')})${after}`);
  } catch (cause) {
    throw new EspalierError('FORMAT', `${quoted(pattern)} is not a regular expression`, { cause });
  }
  // Without repetition there is nothing that could take long.
  if (!/[*+?{]/.test(pattern)) return names.map((name) => expression.test(name));
  context ??= createContext({});
  Object.assign(context, { expression, names });
  try {
    return [...(test.runInContext(context, { timeout: TIME_LIMIT_MS }) as boolean[])];
  } catch (cause) {
    throw new EspalierError('UNSUPPORTED', `the pattern ${quoted(pattern)} takes too long`, {
      cause,
    });
  }
}

function quoted(pattern: string): string {
  return JSON.stringify(pattern.length > 120 ? `${pattern.slice(0, 117)}...` : pattern);
}
