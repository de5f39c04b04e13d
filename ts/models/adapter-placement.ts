import { EspalierError } from '../common/errors.js';
import type { AdapterFile } from '../formats/peft-adapter.js';
import type { TensorEntry } from '../formats/safetensors-header.js';

/** Which tensors of a checkpoint an adapter changes, adds and leaves away. */
export interface AdapterPlacement {
  /** Path of the adapted module by name of its weight in the checkpoint. */
  modules: ReadonlyMap<string, string>;
  /** Name in the adapter's `modulesToSave` by name in the result. */
  saved: ReadonlyMap<string, string>;
  /** Name in the result of a checkpoint's tensor, or undefined when it has no place there. */
  rename(name: string): string | undefined;
}

/**
 * Finds the tensors of a checkpoint that an adapter belongs to. An encoder's checkpoint may lack the
 * prefix that the adapter's paths have (`bert.`), or the other way round; the result of a classifier
 * has it, and none of the checkpoint's other heads.
 * @throws EspalierError `FORMAT` naming the module that the checkpoint doesn't have, or has in another
 * shape: the adapter is for another base.
 */
export function placeAdapter(
  adapter: AdapterFile,
  entries: ReadonlyMap<string, TensorEntry>,
): AdapterPlacement {
  const paths = [...adapter.modules.keys()];
  const prefixes = [
    { add: '', drop: '' },
    ...firstParts(paths).map((drop) => ({ add: '', drop })),
    ...firstParts(entries.keys()).map((add) => ({ add, drop: '' })),
  ];
  const weightOf = (path: string, { add, drop }: { add: string; drop: string }) =>
    path.startsWith(drop) ? `${add}${path.slice(drop.length)}.weight` : undefined;
  const prefix = prefixes.find((candidate) =>
    paths.every((path) => entries.has(weightOf(path, candidate) ?? '')),
  );
  if (prefix === undefined) throw missing(paths, entries);
  const modules = new Map(paths.map((path) => [weightOf(path, prefix) as string, path]));
  for (const [name, path] of modules) checkShape(name, path, adapter, entries);
  const saved = new Map([...adapter.modulesToSave.keys()].map((name) => [name, name]));
  if (adapter.config.taskType !== 'SEQ_CLS' || saved.size === 0) {
    return { modules, saved, rename: (name) => name };
  }
  const body = prefix.add || prefix.drop || firstParts(paths)[0] || '';
  return {
    modules,
    saved,
    rename(name) {
      const whole = prefix.drop === '' ? name : `${prefix.drop}${name}`;
      return whole.startsWith(body) || HEADS.test(whole) ? whole : undefined;
    },
  };
}

/** What classifiers have outside their body. */
const HEADS = /^(pre_classifier|classifier|score)\./;

/** The different first parts of dotted names, with their dots. */
function firstParts(names: Iterable<string>): string[] {
  const parts = new Set<string>();
  for (const name of names) if (name.includes('.')) parts.add(name.slice(0, name.indexOf('.') + 1));
  return [...parts];
}

function missing(paths: readonly string[], entries: ReadonlyMap<string, TensorEntry>) {
  const path = paths.find((one) => !entries.has(`${one}.weight`)) ?? '';
  return new EspalierError(
    'FORMAT',
    `the adapter is for another base: the model has no weight for ${path}`,
    {
      remedy:
        path === 'lm_head'
          ? 'the head is the embedding table here; leave it out of the target modules'
          : 'use the model that the adapter was trained on',
      details: { module: path },
    },
  );
}

function checkShape(
  name: string,
  path: string,
  { modules }: AdapterFile,
  entries: ReadonlyMap<string, TensorEntry>,
): void {
  const { inFeatures, outFeatures } = modules.get(path) as {
    inFeatures: number;
    outFeatures: number;
  };
  const { shape } = entries.get(name) as TensorEntry;
  if (shape.length === 2 && shape[0] === outFeatures && shape[1] === inFeatures) return;
  throw new EspalierError(
    'FORMAT',
    `the adapter is for another base: ${path} has a weight [${shape}], ` +
      `but A and B fit [${outFeatures},${inFeatures}]`,
    {
      remedy: 'use the model that the adapter was trained on',
      details: { module: path, expected: [outFeatures, inFeatures], got: shape },
    },
  );
}
