import { EspalierError } from '../common/errors.js';
import { deriveSeed } from '../common/random.js';
import { AdapterSet } from '../nn/adapter-set.js';
import type { LoraAdapter } from '../nn/lora-adapter.js';
import type { Tensor } from '../tensor/tensor.js';
import type { LinearWeights } from './layer-weights.js';

/** Adapters by the weights that they change. */
export type AttachedAdapters = ReadonlyMap<LinearWeights, { adapter: LoraAdapter; place: number }>;

/** What accompanies one forward pass through the layers of a model. */
export interface ForwardContext {
  /** Adapters in force. */
  adapters?: AttachedAdapters;
  /** Seed of the dropout masks of this pass; undefined: no dropout. */
  dropoutSeed?: number;
  /** u8 [batch, sequence], 0 where a position is padding that no other may attend to. */
  keyMask?: Tensor;
  /** Compute each layer again when gradients walk back instead of keeping what is inside. */
  gradientCheckpointing?: boolean;
}

/** The seed of the dropout mask at one place of the model, or undefined when there is no dropout. */
export function dropoutSeedAt(context: ForwardContext, place: number): number | undefined {
  return context.dropoutSeed === undefined ? undefined : deriveSeed(context.dropoutSeed, place);
}

/**
 * Finds the weights that each adapter of a set changes.
 * @param linears the linear layers of a model by module path
 * @throws EspalierError `CONFIG` for a module that the model does not have, `SHAPE` for an adapter of
 * another width
 */
export function attachAdapters(
  linears: ReadonlyMap<string, LinearWeights>,
  set: AdapterSet,
): AttachedAdapters {
  const attached = new Map<LinearWeights, { adapter: LoraAdapter; place: number }>();
  for (const [path, adapter] of set.adapters) {
    const linear = linears.get(path);
    if (linear === undefined) {
      throw new EspalierError('CONFIG', `adapter: the model has no linear layer ${path}`, {
        remedy: 'use the adapter with the base model it was trained on',
      });
    }
    const [rows, columns] = linear.weight.shape;
    const [b, a] = [adapter.b.value.shape[0], adapter.a.value.shape[1]];
    if (a !== columns || b !== rows) {
      throw new EspalierError(
        'SHAPE',
        `adapter: ${path} is [${rows}, ${columns}], but the adapter changes a [${b}, ${a}]`,
        { remedy: 'use the adapter with the base model it was trained on' },
      );
    }
    attached.set(linear, { adapter, place: attached.size });
  }
  return attached;
}

/**
 * The context of one layer with its part of an adapter set, for models that are computed layer by
 * layer.
 * @param linears the linear layers of that layer by module path
 * @throws EspalierError `SHAPE` for an adapter of another width
 */
export function layerContext(
  linears: Iterable<[string, LinearWeights]>,
  set: AdapterSet | undefined,
): ForwardContext {
  if (set === undefined) return {};
  const known = new Map(linears);
  const own = new Map([...set.adapters].filter(([path]) => known.has(path)));
  return { adapters: attachAdapters(known, new AdapterSet(own)) };
}
