import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EspalierError } from '../common/errors.js';
import { fileError } from '../common/file-error.js';
import type { LayerShape, ModelConfig } from '../formats/model-config.js';
import { readJsonFile } from '../formats/read-json-file.js';
import { readSafetensors } from '../formats/safetensors-reader.js';
import { writeSafetensors } from '../formats/safetensors-writer.js';
import { fileSource, type TensorSource } from '../formats/tensor-source.js';
import { writeJsonFile } from '../formats/write-json-file.js';
import { layerTensorName, layerTensors } from '../models/decoder-tensors.js';
import { type LayerWeights, namedLayerTensors } from '../models/layer-weights.js';
import { tensorSource } from '../models/tensor-source.js';

/** A layer that is finished: its widths, and whatever its maker wants to know of it later. */
export interface FinishedLayer {
  shape: LayerShape;
  biases: { query: boolean; output: boolean; mlp: boolean };
  report: unknown;
}

interface State {
  fingerprint: string;
  plan: unknown;
  /** By index in the unpruned model, as text. */
  layers: Record<string, FinishedLayer>;
}

const STATE_FILE = 'state.json';
const LAYERS_FOLDER = 'layers';

/**
 * The finished layers of a run that may be interrupted at any moment: one file per layer and a state
 * file, each of which appears only when it is complete on the disk.
 */
export class PartialResult {
  readonly #directory: string;
  readonly #state: State;

  private constructor(directory: string, state: State) {
    this.#directory = directory;
    this.#state = state;
  }

  /**
   * Starts in an empty directory, or goes on with what an interrupted run left there.
   * @param fingerprint says what is being made; it must be that of the interrupted run.
   * @throws EspalierError `CONFIG` when the directory belongs to a run with other options or inputs.
   */
  static async open(directory: string, fingerprint: string): Promise<PartialResult> {
    const path = join(directory, STATE_FILE);
    const fresh: State = { fingerprint, plan: undefined, layers: {} };
    const state = await readJsonFile(path, 100_000_000).catch((error: EspalierError) => {
      if (error.details.errno === 'ENOENT') return undefined;
      throw error;
    });
    if (state !== undefined && state.fingerprint !== fingerprint) {
      throw new EspalierError('CONFIG', `${directory} is from a run with other options or inputs`, {
        remedy: 'resume with the same options, or start over with --force',
      });
    }
    try {
      await mkdir(join(directory, LAYERS_FOLDER), { recursive: true });
    } catch (error) {
      throw fileError(error, 'create', directory);
    }
    const result = new PartialResult(directory, (state as unknown as State) ?? fresh);
    if (state === undefined) await result.#save();
    return result;
  }

  /** What {@link setPlan} stored. */
  get plan(): unknown {
    return this.#state.plan;
  }

  /** Stores what the run decided before the first layer; any JSON value. */
  async setPlan(plan: unknown): Promise<void> {
    this.#state.plan = plan;
    await this.#save();
  }

  /** The finished layer of that index in the unpruned model, if it is finished. */
  finished(layer: number): FinishedLayer | undefined {
    return this.#state.layers[String(layer)];
  }

  /** Where the tensors of a finished layer are. */
  layerFile(layer: number): string {
    return join(this.#directory, LAYERS_FOLDER, `${String(layer).padStart(5, '0')}.safetensors`);
  }

  /** Stores a finished layer. */
  async finish(
    layer: number,
    weights: LayerWeights,
    report: unknown,
    signal?: AbortSignal,
  ): Promise<void> {
    const sources = [...namedLayerTensors(weights)].map(([name, tensor]) =>
      tensorSource(name, tensor, signal),
    );
    await writeSafetensors(this.layerFile(layer), sources, signal === undefined ? {} : { signal });
    const biases = {
      query: weights.query.bias !== undefined,
      output: weights.output.bias !== undefined,
      mlp: weights.down.bias !== undefined,
    };
    this.#state.layers[String(layer)] = { shape: weights.shape, biases, report };
    await this.#save();
  }

  /**
   * The tensors of a finished layer under the names they get in the result.
   * @param position the layer's index in the result, whose configuration is `config`
   */
  async sources(layer: number, position: number, config: ModelConfig): Promise<TensorSource[]> {
    const { entries } = await readSafetensors(this.layerFile(layer));
    return layerTensors(config, config.layers[position] as LayerShape).map(({ name }) => {
      const entry = entries.get(name);
      if (entry !== undefined) return fileSource(entry, layerTensorName(position, name));
      throw new EspalierError('FORMAT', `${this.layerFile(layer)} has no tensor ${name}`);
    });
  }

  /** Removes the layer files and the state; the directory then holds only the result. */
  static async clear(directory: string): Promise<void> {
    await rm(join(directory, LAYERS_FOLDER), { recursive: true, force: true });
    await rm(join(directory, STATE_FILE), { force: true });
  }

  async #save(): Promise<void> {
    await writeJsonFile(join(this.#directory, STATE_FILE), this.#state);
  }
}
