import { throwIfAborted } from '../common/abort.js';
import type { Checkpoint } from '../models/checkpoint.js';
import { headLoss } from '../models/decoder-head.js';
import { layerContext } from '../models/forward-context.js';
import { layerForward } from '../models/layer-forward.js';
import {
  disposeLayer,
  layerLinears,
  type LayerWeights,
  loadLayer,
} from '../models/layer-weights.js';
import { disposeOuter, loadOuter, type OuterWeights } from '../models/outer-weights.js';
import { layerParameters } from '../models/parameter-counts.js';
import { ropeTensor } from '../models/rope-tensor.js';
import { layoutRows, SharedPrefixAttention } from '../models/shared-prefix.js';
import type { AdapterSet } from '../nn/adapter-set.js';
import { embedding } from '../ops/embedding.js';
import { gatherRows } from '../ops/gather-rows.js';
import { scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import type { EncodedQuestion } from './encode-question.js';
import type { EvaluationPlan } from './evaluation-plan.js';
import { batchIds, batchTargets, type PrefixBatch, planPrefixBatches } from './prefix-batches.js';
import { Pacer } from './pacer.js';

/** A batch that is on its way through the layers. */
interface Running {
  batch: PrefixBatch;
  stream: Tensor;
  attention: SharedPrefixAttention;
}

/** Computes how likely a model finds the choices of questions. */
export class ChoiceScorer {
  /** Rows that went through the model so far, filling included. */
  rows = 0;
  readonly #checkpoint: Checkpoint;
  readonly #plan: EvaluationPlan;
  readonly #adapter: AdapterSet | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #outer: OuterWeights;
  readonly #layers: readonly LayerWeights[] | undefined;
  readonly #frequencies: Tensor;
  readonly #pacer: Pacer;

  /**
   * Loads the weights that stay.
   * @param plan `batch` and `chunk` count tokens
   * @param options `adapter` is put in force, and stays its owner's
   * @throws EspalierError as `Checkpoint.tensor`
   */
  constructor(
    checkpoint: Checkpoint,
    plan: EvaluationPlan,
    {
      adapter,
      signal,
    }: { adapter?: AdapterSet | undefined; signal?: AbortSignal | undefined } = {},
  ) {
    const { config } = checkpoint;
    const dtype = plan.load;
    this.#checkpoint = checkpoint;
    this.#plan = plan;
    this.#adapter = adapter;
    this.#signal = signal;
    this.#pacer = new Pacer(signal);
    this.#outer = loadOuter(checkpoint, dtype);
    this.#layers = plan.resident
      ? config.layers.map((_, i) => loadLayer(checkpoint, i, dtype))
      : undefined;
    this.#frequencies = ropeTensor(config, checkpoint.device);
  }

  /**
   * The log-likelihood, in nats, of every choice's continuation after its context.
   * @param onScored called with how many questions are done
   * @returns one array per question
   * @throws EspalierError `ABORTED`, `OUT_OF_MEMORY`, and `FORMAT` when the weights can't be read
   */
  async score(
    questions: readonly EncodedQuestion[],
    onScored: (count: number) => void = () => {},
  ): Promise<number[][]> {
    const results: number[][] = questions.map(() => []);
    let done = 0;
    let pending: Promise<void> | undefined;
    for (const group of grouped(planPrefixBatches(questions, this.#plan.batch), this.#plan.chunk)) {
      throwIfAborted(this.#signal, 'evaluate');
      const losses = await this.#group(group, questions);
      // Read one group later: the device never waits for JavaScript.
      const reading = readGroup(group, losses, questions, results).then(() => {
        for (const { members } of group) done += members.length;
        onScored(done);
      });
      reading.catch(() => undefined);
      await pending;
      pending = reading;
    }
    await pending;
    return results;
  }

  /** Frees the weights. */
  dispose(): void {
    this.#frequencies.dispose();
    disposeOuter(this.#outer);
    for (const layer of this.#layers ?? []) disposeLayer(layer);
  }

  /** Takes batches through all layers, batch by batch inside each layer. */
  async #group(
    group: readonly PrefixBatch[],
    questions: readonly EncodedQuestion[],
  ): Promise<Tensor[]> {
    const { config } = this.#checkpoint;
    const dtype = this.#plan.load;
    const running = group.map((batch) => this.#start(batch, questions));
    try {
      for (const [i, shape] of config.layers.entries()) {
        const layer = this.#layers?.[i] ?? loadLayer(this.#checkpoint, i, dtype);
        const work = layerParameters(config, shape).total / config.hiddenSize;
        const context = layerContext(layerLinears(layer, i), this.#adapter);
        try {
          for (const one of running) {
            const { attend } = one.attention;
            const next = layerForward(config, layer, one.stream, this.#frequencies, {
              attend,
              context,
            });
            one.stream.dispose();
            one.stream = next;
            await this.#pacer.queued(next, work * next.size);
          }
          // Without this, a large model's layers would pile up in the queue, all of them mapped.
          if (this.#layers === undefined)
            await this.#pacer.settle((running.at(-1) as Running).stream);
        } finally {
          if (this.#layers === undefined) disposeLayer(layer);
        }
      }
      return running.map(({ batch, stream }) =>
        scope(() => {
          const { rows, targets } = batchTargets(batch, questions);
          const x = stream.reshape([layoutRows(batch.layout), config.hiddenSize]);
          const scored = gatherRows(x, this.#upload(rows));
          return headLoss(config, this.#outer, scored, this.#upload(targets));
        }),
      );
    } finally {
      for (const { stream, attention } of running) {
        stream.dispose();
        attention.dispose();
      }
    }
  }

  #upload(data: Int32Array, shape: number[] = [data.length]): Tensor {
    return Tensor.from(data, shape, { device: this.#checkpoint.device });
  }

  #start(batch: PrefixBatch, questions: readonly EncodedQuestion[]): Running {
    const ids = batchIds(batch, questions);
    this.rows += ids.length;
    const stream = scope(() =>
      embedding(this.#upload(ids, [ids.length, 1]), this.#outer.embedding),
    );
    return { batch, stream, attention: new SharedPrefixAttention(batch.layout, this.#frequencies) };
  }
}

/** Batches of up to `tokens` rows together, at least one each. */
function* grouped(batches: readonly PrefixBatch[], tokens: number): Generator<PrefixBatch[]> {
  let group: PrefixBatch[] = [];
  let rows = 0;
  for (const batch of batches) {
    const more = layoutRows(batch.layout);
    if (group.length > 0 && rows + more > tokens) {
      yield group;
      group = [];
      rows = 0;
    }
    group.push(batch);
    rows += more;
  }
  if (group.length > 0) yield group;
}

async function readGroup(
  group: readonly PrefixBatch[],
  losses: readonly Tensor[],
  questions: readonly EncodedQuestion[],
  results: number[][],
): Promise<void> {
  for (const [b, { members }] of group.entries()) {
    const tensor = losses[b] as Tensor;
    const values = (await tensor.read()) as Float32Array;
    tensor.dispose();
    let at = 0;
    for (const member of members) {
      results[member] = (questions[member] as EncodedQuestion).choices.map(({ targets }) => {
        const own = values.subarray(at, at + targets.length);
        at += targets.length;
        return -own.reduce((sum, loss) => sum + loss, 0);
      });
    }
  }
}
