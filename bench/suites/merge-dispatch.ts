import { dispatchGradient } from '../../ts/ops/dispatch-gradient.js';
import { mergeFeatures } from '../../ts/ops/merge-features.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { normals } from '../data.js';
import { check, formatSeconds, interleave, onDevice, ratio, type Suite } from '../harness.js';

/** Rows of each of the sources, and elements of a row. */
const CPU_CASES = [
  { sources: 10, rows: 64, width: 4096 },
  { sources: 32, rows: 128, width: 1024 },
  { sources: 80, rows: 16, width: 16384 },
];
/** The same kinds of batches, too large for a GPU's caches. */
const GPU_CASES = [
  { sources: 10, rows: 4096, width: 4096 },
  { sources: 32, rows: 4096, width: 1024 },
  { sources: 80, rows: 64, width: 16384 },
];
/** Proves that the suite works where a GPU is emulated. */
const TINY_CASES = [{ sources: 3, rows: 5, width: 64 }];

/** Merging and dispatching against copying the same bytes. */
export const suite: Suite = {
  claim:
    'Merging features and dispatching their gradient run at 0.9 of the speed of memcpy or more; on a ' +
    "GPU at 0.85 of a copy's.",
  async run({ report, quick, say, device }) {
    const rows: string[][] = [];
    report.table('Copies of the same bytes', ['case', 'what', 'time', 'speed over a copy'], rows);
    const cases = device === 'cpu' ? CPU_CASES : quick ? TINY_CASES : GPU_CASES;
    for (const { sources: count, rows: size, width } of quick ? cases.slice(0, 1) : cases) {
      const title = `${count} sources of ${size} x ${width}, f32`;
      say(title);
      const shape = [count * size, width];
      const whole = Tensor.from(normals(1, count * size * width), shape, { device });
      const target = Tensor.zeros(whole.shape, 'f32', device);
      const sources = Array.from({ length: count }, (_, i) =>
        whole.slice(i * size, (i + 1) * size),
      );
      const sizes = sources.map(() => size);
      const order = Int32Array.from({ length: count * size }, (_, k) => {
        return (k % count) * size + Math.floor(k / count);
      });
      const permutation = Tensor.from(order, [order.length], { device });
      const factors = sizes.map((_, i) => 1 + i / count);
      const merged = mergeFeatures(sources, { permutation });
      const back = dispatchGradient(merged, sizes, { permutation, dtype: 'f32' });
      const [sent, came] = [sources.at(-1)!.readSync(), back.at(-1)!.readSync()];
      check(
        came.every((value, i) => value === sent[i]),
        title,
      );
      for (const tensor of back) tensor.dispose();
      const copy = device === 'cpu' ? 'memcpy' : 'copy';
      const contenders = [
        onDevice(copy, device, () => {
          target.copyFrom(whole);
          return target.slice(0, 1);
        }),
        onDevice('merge, in order', device, () => mergeFeatures(sources)),
        onDevice('merge, mixed', device, () => mergeFeatures(sources, { permutation })),
        onDevice('merge, mixed, scaled', device, () =>
          mergeFeatures(sources, { permutation, scales: factors }),
        ),
        onDevice('dispatch, mixed', device, () => dispatchGradient(merged, sizes, { permutation })),
        onDevice('dispatch, mixed, scaled', device, () =>
          dispatchGradient(merged, sizes, { permutation, factors }),
        ),
      ];
      const limit = device === 'cpu' ? 0.9 : 0.85;
      const timings = await interleave(contenders, { rounds: quick ? 3 : 9, least: 0.1 });
      for (const timing of timings) {
        const speed = ratio(timings[0]!, timing);
        rows.push([title, timing.name, formatSeconds(timing.median), speed.toFixed(2)]);
        say(rows.at(-1)!.join('  '));
        if (timing !== timings[0]) {
          report.target(`${title}: ${timing.name}, speed over ${copy}`, speed, 'at least', limit);
        }
      }
      for (const tensor of [whole, target, merged, permutation, ...sources]) tensor.dispose();
    }
    report.note(
      'memcpy copies one tensor into another in the same process; new tensors come from the pool.',
    );
  },
};
