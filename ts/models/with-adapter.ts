import { readAdapter } from '../formats/peft-adapter.js';
import { type AdaptableModel, adapterSetFrom } from './create-adapter-set.js';

/**
 * Puts the adapter of a PEFT directory in force, which is then the model's own.
 * @param directory undefined: none
 * @returns the model; when the adapter can't be used, it is disposed
 * @throws EspalierError as `readAdapter` and `adapterSetFrom`
 */
export async function withAdapter<M extends AdaptableModel>(
  model: M,
  directory: string | undefined,
): Promise<M> {
  if (directory === undefined) return model;
  try {
    model.adopt(adapterSetFrom(model, await readAdapter(directory)));
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}
