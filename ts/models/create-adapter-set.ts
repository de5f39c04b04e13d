import { EspalierError } from '../common/errors.js';
import { atOnce, type Pieces } from '../common/pieces.js';
import { deriveSeed, Random } from '../common/random.js';
import type { AdapterConfig } from '../formats/adapter-config.js';
import { type ModuleRank, moduleRanks, targetedModules } from '../formats/adapter-modules.js';
import type { AdapterFile, AdapterModule, SavedTensor } from '../formats/peft-adapter.js';
import { AdapterSet } from '../nn/adapter-set.js';
import { LoraAdapter } from '../nn/lora-adapter.js';
import { Parameter } from '../nn/parameter.js';
import { Tensor } from '../tensor/tensor.js';
import { Classifier } from './classifier.js';
import { classifierHead } from './classifier-head.js';
import type { Decoder } from './decoder.js';
import type { LinearWeights } from './layer-weights.js';

/** A model that adapters can be attached to. */
export type AdaptableModel = Decoder | Classifier;

/**
 * New adapters for the modules that a configuration targets; they change nothing until they are
 * trained. A classifier's head comes along as whole tensors, starting from the model's.
 * @param seed the same seed gives the same matrices
 * @throws EspalierError `CONFIG` when the configuration targets no module or a rank is out of range
 */
export function createAdapterSet(
  model: AdaptableModel,
  config: AdapterConfig,
  seed: number,
): AdapterSet {
  return atOnce(adapterSetInPieces(model, config, seed));
}

/**
 * As {@link createAdapterSet}, a piece for each module: the random numbers of a large model take
 * longer than others should wait.
 */
export function* adapterSetInPieces(
  model: AdaptableModel,
  config: AdapterConfig,
  seed: number,
): Pieces<AdapterSet> {
  const paths = targetedModules(config, [...model.linears.keys()]);
  if (paths.length === 0) {
    throw new EspalierError('CONFIG', 'adapter: no linear layer of the model is targeted', {
      remedy: `name some of ${moduleNames(model).join(', ')}, or all-linear`,
    });
  }
  const ranks = moduleRanks(config, paths);
  const adapters = new Map<string, LoraAdapter>();
  let complete = false;
  try {
    for (const [i, path] of paths.entries()) {
      const { weight } = model.linears.get(path) as LinearWeights;
      const [rows, columns] = weight.shape as [number, number];
      const { rank, alpha } = ranks.get(path) as ModuleRank;
      const options = {
        rank,
        alpha,
        rankStabilized: config.useRslora,
        dropout: config.loraDropout,
      };
      const random = new Random(deriveSeed(seed, i));
      try {
        adapters.set(path, LoraAdapter.create(rows, columns, options, random, weight.device));
      } catch (error) {
        throw named(error, path);
      }
      yield;
    }
    complete = true;
  } finally {
    if (!complete) for (const adapter of adapters.values()) adapter.dispose();
  }
  return new AdapterSet(adapters, savedHead(model));
}

/**
 * The adapters of a PEFT directory for a model.
 * @throws EspalierError `CONFIG` or `SHAPE` when they belong to another base
 */
export function adapterSetFrom(model: AdaptableModel, file: AdapterFile): AdapterSet {
  const set = adapterSetOf(file, model.device);
  try {
    // Attaching checks names and shapes.
    const before = model.adapter;
    model.adapter = set;
    model.adapter = before;
  } catch (error) {
    set.dispose();
    throw error;
  }
  return set;
}

/**
 * The adapters of a PEFT directory; whether they fit a model is seen when they are attached.
 * @param device where they are put; default `cpu`
 */
export function adapterSetOf(file: AdapterFile, device = 'cpu'): AdapterSet {
  const upload = (data: Float32Array, shape: readonly number[]) =>
    Tensor.from(data, [...shape], { device });
  const adapters = new Map<string, LoraAdapter>();
  for (const [path, module] of file.modules) {
    const { a, b, rank, alpha, inFeatures, outFeatures } = module;
    adapters.set(
      path,
      new LoraAdapter(upload(a, [rank, inFeatures]), upload(b, [outFeatures, rank]), {
        alpha,
        rankStabilized: file.config.useRslora,
        dropout: file.config.loraDropout,
      }),
    );
  }
  const saved = new Map<string, Parameter>();
  for (const [name, { shape, data }] of file.modulesToSave) {
    saved.set(name, new Parameter(upload(data, shape)));
  }
  return new AdapterSet(adapters, saved);
}

/** Copies the adapters out of native memory, as they are written to a PEFT directory. */
export async function adapterFileOf(set: AdapterSet, config: AdapterConfig): Promise<AdapterFile> {
  const modules = new Map<string, AdapterModule>();
  for (const [path, adapter] of set.adapters) {
    const [a, b] = [adapter.a.value, adapter.b.value];
    modules.set(path, {
      rank: adapter.rank,
      alpha: adapter.alpha,
      scale: adapter.scale,
      inFeatures: a.shape[1] as number,
      outFeatures: b.shape[0] as number,
      a: (await a.read()) as Float32Array,
      b: (await b.read()) as Float32Array,
    });
  }
  const modulesToSave = new Map<string, SavedTensor>();
  for (const [name, { value }] of set.saved) {
    modulesToSave.set(name, { shape: value.shape, data: (await value.read()) as Float32Array });
  }
  return { config, modules, modulesToSave };
}

/** Copies of the head's tensors that are trained whole beside the adapters. */
function savedHead(model: AdaptableModel): Map<string, Parameter> {
  const saved = new Map<string, Parameter>();
  if (!(model instanceof Classifier)) return saved;
  const { modules } = classifierHead(model.config);
  for (const [name, tensor] of model.headTensors) {
    if (!modules.some((module) => name.startsWith(`${module}.`))) continue;
    const copy = Tensor.zeros(tensor.shape, 'f32', tensor.device);
    copy.copyFrom(tensor);
    saved.set(name, new Parameter(copy));
  }
  return saved;
}

function moduleNames(model: AdaptableModel): string[] {
  return [...new Set([...model.linears.keys()].map((path) => path.split('.').at(-1) as string))];
}

function named(error: unknown, path: string): unknown {
  if (!(error instanceof EspalierError)) return error;
  return new EspalierError(error.code, `${path}: ${error.message}`, { cause: error });
}
