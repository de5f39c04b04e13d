import { native, type NativeMark } from '../native/addon.js';
import { Tensor } from './tensor.js';

/**
 * A point in the queue of a device, for timing what is queued between two of them by the device's own
 * clock: events on a GPU, the steady clock on the CPU. Marks cost next to nothing and wait for nobody.
 *
 * ```ts
 * const start = new Mark('cuda:0');
 * for (let i = 0; i < 100; i++) linear(x, weight).dispose();
 * const seconds = await new Mark('cuda:0').secondsSince(start);
 * ```
 */
export class Mark {
  /** The addon's handle. */
  readonly handle: NativeMark;

  /**
   * Puts a mark behind everything queued on `device` so far.
   *
   * @throws EspalierError `DEVICE_UNAVAILABLE` for a device that has not been opened
   */
  constructor(readonly device: string = 'cpu') {
    this.handle = native().mark(device);
  }

  /**
   * Seconds that the device took from `earlier` to here; resolves when it has got here.
   *
   * @throws EspalierError `DEVICE_MISMATCH` when `earlier` is another device's, and what the device
   * failed with
   */
  async secondsSince(earlier: Mark): Promise<number> {
    const seconds = new Tensor(native().elapsed(earlier.handle, this.handle));
    try {
      return Number((await seconds.read())[0]);
    } finally {
      seconds.dispose();
    }
  }
}
