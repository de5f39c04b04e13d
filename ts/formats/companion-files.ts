import { copyFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted } from '../common/abort.js';
import { fileError } from '../common/file-error.js';

const COMPANIONS =
  /^(tokenizer.*\.(json|model)|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt|generation_config\.json|chat_template\.(jinja|json)|LICENSE.*)$/;

/**
 * Copies the files that go with a model's weights as they are: tokenizer, chat template, generation
 * settings, licence.
 * @throws EspalierError `CONFIG` when one can't be copied, `ABORTED`
 */
export async function copyCompanionFiles(
  from: string,
  to: string,
  signal?: AbortSignal,
): Promise<void> {
  for (const name of await readdir(from)) {
    if (!COMPANIONS.test(name)) continue;
    throwIfAborted(signal, 'copyCompanionFiles');
    await copyFile(join(from, name), join(to, name)).catch((error) => {
      throw fileError(error, 'copy', join(from, name));
    });
  }
}
