import { throwIfAborted } from '../common/abort.js';
import { Turn } from '../common/pieces.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';

/** Multiply-adds that are queued before anyone looks whether to go on: about a third of a second. */
const WORK_BETWEEN_LOOKS = 2e10;

/** Keeps what is queued on the device, and turns of the event loop, short enough for others. */
export class Pacer {
  readonly #signal: AbortSignal | undefined;
  readonly #turn = new Turn();
  #queued = 0;

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /**
   * Says that `work` multiply-adds were queued, the last ones for `x`; waits for them now and then,
   * and lets the event loop go on when queueing took long.
   * @throws EspalierError `ABORTED`, and what `x` failed with
   */
  async queued(x: Tensor, work: number): Promise<void> {
    this.#queued += work;
    if (this.#turn.over) await this.#turn.end(this.#signal, 'evaluate');
    if (this.#queued < WORK_BETWEEN_LOOKS) return;
    await this.settle(x);
    throwIfAborted(this.#signal, 'evaluate');
  }

  /** Resolves when the device has computed `x`; copies one element of it only. */
  async settle(x: Tensor): Promise<void> {
    this.#queued = 0;
    const probe = scope(() => x.reshape([x.size]).slice(0, 1));
    await probe.read();
    probe.dispose();
  }
}
