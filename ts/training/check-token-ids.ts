import { EspalierError } from '../common/errors.js';
import type { ModelConfig } from '../formats/model-config.js';

/**
 * Checks that a tokenizer belongs to a model.
 * @throws EspalierError `FORMAT` for an id outside the vocabulary.
 */
export function checkTokenIds(
  ids: Int32Array,
  { vocabSize }: Pick<ModelConfig, 'vocabSize'>,
  directory: string,
): void {
  const strange = ids.find((id) => id < 0 || id >= vocabSize);
  if (strange === undefined) return;
  throw new EspalierError(
    'FORMAT',
    `the tokenizer of ${directory} gives the id ${strange}, but the vocabulary has ${vocabSize}`,
  );
}
