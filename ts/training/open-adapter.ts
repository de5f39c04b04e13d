import { EspalierError } from '../common/errors.js';
import { readAdapter } from '../formats/peft-adapter.js';
import type { Checkpoint } from '../models/checkpoint.js';
import { adapterSetOf } from '../models/create-adapter-set.js';
import { decoderTensors } from '../models/decoder-tensors.js';
import type { AdapterSet } from '../nn/adapter-set.js';

/**
 * The adapter of a PEFT directory, all of whose modules a language model has; the caller frees it.
 * @param directory undefined: none
 * @throws EspalierError as `readAdapter`, `CONFIG` when it belongs to another base, `UNSUPPORTED` when
 * it holds whole tensors beside its low-rank factors
 */
export async function openAdapter(
  { config, device }: Checkpoint,
  directory: string | undefined,
): Promise<AdapterSet | undefined> {
  if (directory === undefined) return undefined;
  const file = await readAdapter(directory);
  const shapes = new Map(decoderTensors(config).map(({ name, shape }) => [name, shape]));
  for (const [path, { inFeatures, outFeatures }] of file.modules) {
    const shape = shapes.get(`${path}.weight`);
    if (shape?.join() === [outFeatures, inFeatures].join()) continue;
    const has = shape === undefined ? 'which the model does not have' : `but it is [${shape}]`;
    throw new EspalierError(
      'CONFIG',
      `${directory} adapts ${path} of [${outFeatures}, ${inFeatures}], ${has}`,
      { remedy: 'use the adapter with the base model it was trained on' },
    );
  }
  const [whole] = file.modulesToSave.keys();
  if (whole !== undefined) {
    throw new EspalierError(
      'UNSUPPORTED',
      `${directory} replaces ${whole} as a whole, which can't be put in force on a language model`,
      { remedy: "merge it into the model first; a classifier's is for --task classify" },
    );
  }
  return adapterSetOf(file, device);
}
