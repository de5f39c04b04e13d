import type { ModelConfig } from '../formats/model-config.js';
import { readModelConfig } from '../formats/read-model-config.js';
import { readWeightsIndex, type WeightsIndex } from '../formats/weights-index.js';
import { decoderTensors, HEAD_TENSOR } from './decoder-tensors.js';
import { StoredWeights } from './stored-weights.js';

/** A model directory that is open: its configuration, and its weights by name, still on the disk. */
export class Checkpoint extends StoredWeights {
  /** What its config.json says. */
  readonly config: ModelConfig;

  private constructor(directory: string, config: ModelConfig, index: WeightsIndex, device: string) {
    super(directory, index, device);
    this.config = config;
  }

  /**
   * Opens a model directory and checks that every tensor the configuration asks for is there, has
   * the right shape and a usable dtype. No weight is read.
   * @throws EspalierError `FORMAT` naming the file or tensor that is wrong, `UNSUPPORTED` for a
   * family, feature or dtype that is not handled, `CONFIG` when a file can't be read.
   * @param options `head: false` for a checkpoint that may lack the head of the language model;
   * `device`: where its tensors are put, default `cpu`
   */
  static async open(
    directory: string,
    { head = true, device = 'cpu' }: { head?: boolean; device?: string } = {},
  ): Promise<Checkpoint> {
    const config = await readModelConfig(directory);
    const index = await readWeightsIndex(directory);
    const checkpoint = new Checkpoint(directory, config, index, device);
    for (const { name, shape } of decoderTensors(config)) {
      if (head || name !== HEAD_TENSOR) checkpoint.check(name, shape);
    }
    return checkpoint;
  }
}
