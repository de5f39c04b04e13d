import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError } from '../common/file-error.js';
import { readJsonFile } from './read-json-file.js';

/** The name of the tokenizer in a model directory. */
export const TOKENIZER_FILE = 'tokenizer.json';

/** Facts about a tokenizer. */
export interface TokenizerDescription {
  /** The model inside: `BPE`, `Unigram`, `WordPiece`, `WordLevel`. */
  type: string;
  /** Number of tokens, added ones included. */
  vocabSize: number;
}

/**
 * Describes the tokenizer.json of a model directory.
 * @returns undefined when there is none
 * @throws EspalierError `FORMAT` when it is not valid JSON, `CONFIG` when it can't be read
 */
export async function describeTokenizer(
  directory: string,
): Promise<TokenizerDescription | undefined> {
  const path = join(directory, TOKENIZER_FILE);
  try {
    await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError(error, 'read', path);
  }
  const { model, added_tokens: added } = await readJsonFile(path, 100_000_000);
  const { type, vocab } = (model ?? {}) as { type?: unknown; vocab?: unknown };
  return { type: typeof type === 'string' ? type : 'BPE', vocabSize: tokens(vocab, added).size };
}

/** The tokens of a vocabulary ({ token: id }, or [[token, score]]) and those added to it. */
function tokens(vocab: unknown, added: unknown): Set<unknown> {
  const names = Array.isArray(vocab)
    ? vocab.map((entry) => (Array.isArray(entry) ? entry[0] : entry))
    : Object.keys((vocab ?? {}) as object);
  const extra = Array.isArray(added) ? added.map((token) => token?.content) : [];
  return new Set([...names, ...extra]);
}
