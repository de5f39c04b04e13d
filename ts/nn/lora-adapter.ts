import { EspalierError } from '../common/errors.js';
import type { Random } from '../common/random.js';
import { Tensor } from '../tensor/tensor.js';
import { Parameter } from './parameter.js';

/** The size and scaling of a {@link LoraAdapter}. */
export interface LoraOptions {
  /** Rank of the update. */
  rank: number;
  /** `lora_alpha`: the update is scaled by alpha / rank. */
  alpha: number;
  /** Scale by alpha / √rank instead (rsLoRA, Kalajdzievski 2023); default false. */
  rankStabilized?: boolean;
  /** Probability with which an input of the low-rank path is dropped in training; default 0. */
  dropout?: number;
}

/** A low-rank update s · B A of a frozen linear layer (LoRA, Hu et al. 2021). */
export class LoraAdapter {
  /** [rank, in] */
  readonly a: Parameter;
  /** [out, rank] */
  readonly b: Parameter;
  /** `lora_alpha`. */
  readonly alpha: number;
  /** s: alpha / rank, or alpha / √rank. */
  readonly scale: number;
  /** Probability with which an input of the low-rank path is dropped in training. */
  readonly dropout: number;

  /**
   * Takes both factors over.
   * @param a f32 [rank, in]
   * @param b f32 [out, rank]
   * @throws EspalierError `CONFIG` for an option out of range, `SHAPE` when the ranks differ
   */
  constructor(a: Tensor, b: Tensor, options: Omit<LoraOptions, 'rank'>) {
    const { alpha, rankStabilized = false, dropout = 0 } = options;
    const rank = a.shape[0] as number;
    if (b.shape[1] !== rank) {
      throw new EspalierError('SHAPE', `lora: A has rank ${rank}, B has rank ${b.shape[1]}`);
    }
    if (!(dropout >= 0 && dropout < 1)) {
      throw new EspalierError('CONFIG', `lora_dropout must be in [0, 1), got ${dropout}`);
    }
    if (!Number.isFinite(alpha) || alpha <= 0) {
      throw new EspalierError('CONFIG', `lora_alpha must be above 0, got ${alpha}`);
    }
    this.a = new Parameter(a);
    this.b = new Parameter(b);
    this.alpha = alpha;
    this.scale = alpha / (rankStabilized ? Math.sqrt(rank) : rank);
    this.dropout = dropout;
  }

  /**
   * An adapter that changes nothing yet, as PEFT starts one: A uniform in ±1/√in, B zero.
   * @param rows width of the output
   * @param columns width of the input
   * @param device where it is put; default `cpu`
   * @throws EspalierError `CONFIG` when the rank is not from 1 to the smaller width
   */
  static create(
    rows: number,
    columns: number,
    options: LoraOptions,
    random: Random,
    device = 'cpu',
  ): LoraAdapter {
    const { rank } = options;
    const largest = Math.min(rows, columns);
    if (!Number.isInteger(rank) || rank < 1 || rank > largest) {
      throw new EspalierError(
        'CONFIG',
        `lora rank must be a whole number from 1 to ${largest}, the smaller side of ` +
          `[${rows}, ${columns}], got ${rank}`,
      );
    }
    const bound = 1 / Math.sqrt(columns);
    const a = Float32Array.from({ length: rank * columns }, () => (2 * random.float() - 1) * bound);
    return new LoraAdapter(
      Tensor.from(a, [rank, columns], { device }),
      Tensor.zeros([rows, rank], 'f32', device),
      options,
    );
  }

  /** Rank of the update. */
  get rank(): number {
    return this.a.value.shape[0] as number;
  }

  /** Frees both factors. Idempotent. */
  dispose(): void {
    this.a.dispose();
    this.b.dispose();
  }
}
