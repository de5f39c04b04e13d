import type { LayerReport } from './prune-layers.js';
import type { SplitTrial } from './split-search.js';

/** What `prune` did; a plain object. */
export interface PruneResult {
  /** The directory with the pruned model. */
  output: string;
  method: string;
  /** The ratio that was asked for. */
  nominalRatio: number;
  /** The fraction of all parameters that is gone. */
  ratio: number;
  parameters: { before: number; after: number };
  layers: {
    before: number;
    after: number /** Indices in the unpruned model. */;
    dropped: number[];
  };
  /** Widths of the result, by layer. */
  widths: {
    intermediateSize: number[];
    numAttentionHeads: number[];
    numKeyValueHeads: number[];
  };
  /** Block influence of the unpruned model's layers. */
  influence: number[];
  /** Details of every layer that stays. */
  perLayer: LayerReport[];
  /** Splits that were considered, the chosen one first. */
  splits: SplitTrial[];
  /**
   * Mean loss in nats per token on the held-out calibration windows: of the unpruned model, of the
   * trial of the chosen split, which has not seen them (undefined without a search), and of the
   * result, which has.
   */
  heldOutLoss: { before: number; trial?: number; after: number };
  /** Windows that the equations saw, that judged them, how many of both the model wrote itself. */
  calibration: { training: number; heldOut: number; sampled: number; window: number };
  warnings: string[];
  /** Wall-clock time of this call, which may have resumed an earlier one. */
  seconds: number;
  /** Peak resident memory of this process so far, mapped pages included; 0 where unknown. */
  peakMemoryBytes: number;
}

/** The part of a result that the same options and inputs give again; it stands in run.json. */
export type ReproducibleResult = Omit<PruneResult, 'output' | 'seconds' | 'peakMemoryBytes'>;
