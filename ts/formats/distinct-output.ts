import { realpath } from 'node:fs/promises';
import { EspalierError } from '../common/errors.js';

/**
 * Makes sure that an output directory is none of the inputs: not even `force` lets a result replace
 * what it was made from.
 * @param inputs what each directory is (as in "model that is to be pruned"), and its path
 * @param op the verb, for the error
 * @throws EspalierError `CONFIG`
 */
export async function checkDistinctOutput(
  output: string,
  inputs: Readonly<Record<string, string>>,
  op: string,
): Promise<void> {
  const target = await realpath(output).catch(() => undefined);
  if (target === undefined) return;
  for (const [what, path] of Object.entries(inputs)) {
    if ((await realpath(path).catch(() => undefined)) !== target) continue;
    throw new EspalierError('CONFIG', `output: ${output} is the ${what}`, {
      op,
      remedy: 'choose another directory',
      details: { option: 'output' },
    });
  }
}
