import { throwIfAborted } from '../common/abort.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';

/** Multiply-adds that are queued before anyone looks whether to go on: about a third of a second. */
const WORK_BETWEEN_LOOKS = 2e10;

/** Keeps what is queued on the device short enough for aborting to be soon felt. */
export class Pacer {
  readonly #signal: AbortSignal | undefined;
  #queued = 0;

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /**
   * Says that `work` multiply-adds were queued, the last ones for `x`; waits for them now and then.
   * @throws EspalierError `ABORTED`, and what `x` failed with
   */
  async queued(x: Tensor, work: number): Promise<void> {
    this.#queued += work;
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
