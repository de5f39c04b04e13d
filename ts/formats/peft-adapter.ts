import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EspalierError } from '../common/errors.js';
import { fileError } from '../common/file-error.js';
import {
  ADAPTER_CONFIG_FILE,
  type AdapterConfig,
  encodeAdapterConfig,
  parseAdapterConfig,
} from './adapter-config.js';
import { type ModuleRank, moduleRanks, savedModules, targetedModules } from './adapter-modules.js';
import { readFloats } from './read-floats.js';
import { readJsonFile } from './read-json-file.js';
import type { TensorEntry } from './safetensors-header.js';
import { readSafetensors } from './safetensors-reader.js';
import { writeSafetensors } from './safetensors-writer.js';
import { memorySource } from './tensor-source.js';
import { writeJsonFile } from './write-json-file.js';

/** The name of an adapter's weights in its directory. */
export const ADAPTER_WEIGHTS_FILE = 'adapter_model.safetensors';

/** What PEFT puts in front of every name of the base model. */
export const ADAPTER_PREFIX = 'base_model.model.';

/** The low-rank matrices of one module, which computes W x + scale · B A x. */
export interface AdapterModule extends ModuleRank {
  /** A, row-major [rank, inFeatures]. */
  a: Float32Array;
  /** B, row-major [outFeatures, rank]. */
  b: Float32Array;
  inFeatures: number;
  outFeatures: number;
}

/** A tensor that is stored whole beside the low-rank ones. */
export interface SavedTensor {
  shape: readonly number[];
  data: Float32Array;
}

/** A LoRA adapter as it lies in a PEFT directory, without the model that it belongs to. */
export interface AdapterFile {
  config: AdapterConfig;
  /** By path of the module in the base model, such as `model.layers.0.self_attn.q_proj`. */
  modules: ReadonlyMap<string, AdapterModule>;
  /** The modules that are trained whole, by name in the base model, such as `classifier.weight`. */
  modulesToSave: ReadonlyMap<string, SavedTensor>;
}

/**
 * Reads a PEFT directory (`adapter_config.json`, `adapter_model.safetensors`) that is not trusted.
 * Ranks are those of the configuration's patterns, and the tensors must have them.
 * @throws EspalierError `FORMAT` naming the file or tensor that is wrong, `UNSUPPORTED` naming what is
 * not plain LoRA, `CONFIG` when a file can't be read.
 */
export async function readAdapter(directory: string): Promise<AdapterFile> {
  const configFile = join(directory, ADAPTER_CONFIG_FILE);
  const config = parseAdapterConfig(await readJsonFile(configFile), configFile);
  const weightsFile = join(directory, ADAPTER_WEIGHTS_FILE);
  await requireFile(weightsFile, directory);
  const { entries } = await readSafetensors(weightsFile);
  const { pairs, whole } = sortEntries(entries.values(), weightsFile);
  const paths = [...pairs.keys()];
  const ranks = moduleRanks(config, paths);
  const targeted = new Set(targetedModules(config, paths));
  const modules = new Map<string, AdapterModule>();
  for (const [path, { a, b }] of pairs) {
    if (!targeted.has(path)) {
      throw formatError(weightsFile, `adapts ${path}, which ${configFile} does not target`);
    }
    const rank = ranks.get(path) as ModuleRank;
    checkShapes(path, a, b, rank.rank, weightsFile);
    modules.set(path, {
      ...rank,
      a: await readFloats(a),
      b: await readFloats(b),
      inFeatures: a.shape[1] as number,
      outFeatures: b.shape[0] as number,
    });
  }
  const names = [...whole.keys()];
  const saved = savedModules(config, names);
  const modulesToSave = new Map<string, SavedTensor>();
  for (const [i, [name, entry]] of [...whole].entries()) {
    if (!saved[i]) refuseTensor(entry, weightsFile);
    modulesToSave.set(name, { shape: entry.shape, data: await readFloats(entry) });
  }
  return { config, modules, modulesToSave };
}

/**
 * Writes an adapter as a PEFT directory, which is made when it is missing; tensors are f32. Each of
 * the two files appears, or replaces the old one, only when it is complete.
 * @throws EspalierError `SHAPE` when matrices don't have the rank that the configuration gives their
 * module, `CONFIG` when something can't be written.
 */
export async function writeAdapter(directory: string, adapter: AdapterFile): Promise<void> {
  const { config, modules, modulesToSave } = adapter;
  const ranks = moduleRanks(config, [...modules.keys()]);
  const sources = [...modules].flatMap(([path, { a, b, inFeatures, outFeatures }]) => {
    const { rank } = ranks.get(path) as ModuleRank;
    if (a.length !== rank * inFeatures || b.length !== rank * outFeatures) {
      throw new EspalierError(
        'SHAPE',
        `${path}: A and B of rank ${rank} for ${inFeatures} inputs and ${outFeatures} outputs ` +
          `have ${rank * inFeatures} and ${rank * outFeatures} elements, got ${a.length} and ${b.length}`,
      );
    }
    const name = `${ADAPTER_PREFIX}${path}`;
    return [
      memorySource(`${name}.lora_A.weight`, [rank, inFeatures], a),
      memorySource(`${name}.lora_B.weight`, [outFeatures, rank], b),
    ];
  });
  for (const [name, { shape, data }] of modulesToSave) {
    sources.push(memorySource(`${ADAPTER_PREFIX}${name}`, shape, data));
  }
  await mkdir(directory, { recursive: true }).catch((error) => {
    throw fileError(error, 'create', directory);
  });
  await writeSafetensors(join(directory, ADAPTER_WEIGHTS_FILE), sources);
  await writeJsonFile(join(directory, ADAPTER_CONFIG_FILE), encodeAdapterConfig(config));
}

async function requireFile(file: string, directory: string): Promise<void> {
  try {
    await stat(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw fileError(error, 'read', file);
    throw new EspalierError('CONFIG', `${directory} has no ${ADAPTER_WEIGHTS_FILE}`, {
      remedy: 'save the adapter as safetensors; pickled adapters are never opened',
      details: { path: file },
    });
  }
}

interface Pair {
  a: TensorEntry;
  b: TensorEntry;
}

/** Pairs A with B by module; what is neither is kept under its name in the base model. */
function sortEntries(
  entries: Iterable<TensorEntry>,
  file: string,
): { pairs: Map<string, Pair>; whole: Map<string, TensorEntry> } {
  const halves = new Map<string, Partial<Pair>>();
  const whole = new Map<string, TensorEntry>();
  for (const entry of entries) {
    if (!entry.name.startsWith(ADAPTER_PREFIX)) {
      throw formatError(file, `has a tensor ${shown(entry.name)} outside ${ADAPTER_PREFIX}`);
    }
    const name = entry.name.slice(ADAPTER_PREFIX.length);
    const match = /^(.+)\.lora_([AB])\.weight$/s.exec(name);
    if (match === null) {
      if (/\.lora_/.test(name)) refuseTensor(entry, file);
      whole.set(name, entry);
      continue;
    }
    const path = match[1] as string;
    const half = halves.get(path) ?? {};
    half[match[2] === 'A' ? 'a' : 'b'] = entry;
    halves.set(path, half);
  }
  const pairs = new Map<string, Pair>();
  for (const [path, { a, b }] of halves) {
    if (a === undefined || b === undefined) {
      throw formatError(file, `has only one of lora_A and lora_B for ${shown(path)}`);
    }
    pairs.set(path, { a, b });
  }
  return { pairs, whole };
}

function checkShapes(
  path: string,
  a: TensorEntry,
  b: TensorEntry,
  rank: number,
  file: string,
): void {
  const fits =
    a.shape.length === 2 && b.shape.length === 2 && a.shape[0] === rank && b.shape[1] === rank;
  if (fits && !a.shape.includes(0) && !b.shape.includes(0)) return;
  throw formatError(
    file,
    `has A [${a.shape}] and B [${b.shape}] for ${shown(path)}, expected [${rank}, inputs] and ` +
      `[outputs, ${rank}] by ${ADAPTER_CONFIG_FILE}`,
  );
}

function refuseTensor(entry: TensorEntry, file: string): never {
  throw new EspalierError(
    'UNSUPPORTED',
    `${file}: ${shown(entry.name)} is neither lora_A, lora_B nor part of modules_to_save`,
    { remedy: 'merge such adapters with PEFT', details: { tensor: entry.name } },
  );
}

function formatError(file: string, why: string): EspalierError {
  return new EspalierError('FORMAT', `${file} ${why}`, { details: { path: file } });
}

function shown(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 117)}...` : name);
}
