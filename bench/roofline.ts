import { linear } from '../ts/ops/linear.js';
import { cast } from '../ts/ops/cast.js';
import { Tensor } from '../ts/tensor/tensor.js';
import { normals } from './data.js';
import {
  formatFigure,
  formatSeconds,
  interleave,
  ofPeer,
  onDevice,
  type SuiteContext,
} from './harness.js';

/** What a piece of work must do at least. */
export interface Work {
  /** Bytes read and written, each once. */
  bytes: number;
  /** Multiplications and additions. */
  flops: number;
  /** What is multiplied; default `f32`. */
  dtype?: 'f32' | 'bf16';
}

/** Columns that {@link Roofline.cells} fills. */
export const ROOFLINE_COLUMNS = ['GB', 'GFLOP', 'floor', 'of the floor'] as const;

/** How fast a device copies and multiplies, and how near a measurement comes to that. */
export class Roofline {
  private constructor(
    /** Bytes read and written per second by a copy within the device. */
    readonly bytesPerSecond: number,
    /** Operations per second of a large product, by dtype. */
    readonly flopsPerSecond: Readonly<Record<'f32' | 'bf16', number>>,
  ) {}

  /**
   * Measures both, ours and the peer's in turns, and takes the better one: copying 1 GiB and products
   * of 8192³ on a GPU, less on a CPU.
   */
  static async measure(context: SuiteContext): Promise<Roofline> {
    const { device, peerDevice, quick, report } = context;
    const small = quick || device === 'cpu';
    const bytes = quick ? 2 ** 20 : small ? 2 ** 28 : 2 ** 30;
    const side = quick ? 128 : small ? 1024 : 8192;
    const peer = await context.peer();
    const options = { rounds: 3, least: quick ? 0.01 : 0.05 };

    const source = Tensor.zeros([bytes / 4], 'f32', device);
    const target = Tensor.zeros([bytes / 4], 'f32', device);
    const copied = () => {
      target.copyFrom(source);
      return target.reshape(target.shape);
    };
    const copies = await interleave(
      [
        onDevice('espalier', device, copied),
        ...(peer
          ? [
              ofPeer('torch', peerDevice, (repeats) =>
                peer.call<number>('rate_copy', { bytes, repeats }),
              ),
            ]
          : []),
      ],
      options,
    );
    for (const tensor of [source, target]) tensor.dispose();
    const rates = copies.map(({ name, median }) => ({ name, rate: (2 * bytes) / median }));
    const rows = rates.map(({ name, rate }) => ['copy', name, `${formatFigure(rate / 1e9)} GB/s`]);

    const values = normals(1, side * side);
    const wide = Tensor.from(values, [side, side], { device });
    const narrow = cast(wide, 'bf16');
    const flops = { f32: 0, bf16: 0 };
    for (const products of ['f32', 'bf16'] as const) {
      const weight = products === 'f32' ? wide : narrow;
      const timings = await interleave(
        [
          onDevice('espalier', device, () => linear(wide, weight, undefined, { products })),
          ...(peer
            ? [
                ofPeer('torch', peerDevice, (repeats) =>
                  peer.call<number>('rate_product', { side, dtype: products, repeats }),
                ),
              ]
            : []),
        ],
        options,
      );
      for (const { name, median } of timings) {
        const rate = (2 * side ** 3) / median;
        flops[products] = Math.max(flops[products], rate);
        rows.push([
          `product of ${side}³, ${products}`,
          name,
          `${formatFigure(rate / 1e12)} TFLOP/s`,
        ]);
      }
    }
    for (const tensor of [wide, narrow]) tensor.dispose();
    report.table('What the device can do', ['what', 'who', 'rate'], rows);
    report.note(
      '`floor` is the time that the bytes (read and written once each, at the rate of a copy) or the ' +
        'operations (at the rate of a large product) take at least, whichever is longer; `of the floor` ' +
        'is that over our time.',
    );
    report.data('roofline', { rates, flops });
    return new Roofline(Math.max(...rates.map(({ rate }) => rate)), flops);
  }

  /** The least time that some work can take, in seconds. */
  floor({ bytes, flops, dtype = 'f32' }: Work): number {
    return Math.max(bytes / this.bytesPerSecond, flops / this.flopsPerSecond[dtype]);
  }

  /** Fraction of a copy's rate at which so many bytes were moved. */
  bandwidth(bytes: number, seconds: number): number {
    return bytes / seconds / this.bytesPerSecond;
  }

  /** Cells for {@link ROOFLINE_COLUMNS}. */
  cells(work: Work, seconds: number): string[] {
    const floor = this.floor(work);
    return [
      formatFigure(work.bytes / 1e9),
      formatFigure(work.flops / 1e9),
      formatSeconds(floor),
      `${((100 * floor) / seconds).toFixed(0)} %`,
    ];
  }
}
