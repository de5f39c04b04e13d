import { dispatchGradient } from '../../ts/ops/dispatch-gradient.js';
import { mergeFeatures } from '../../ts/ops/merge-features.js';
import { scope } from '../../ts/tensor/scope.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { normals } from '../data.js';
import { check, type Contender, formatSeconds, interleave, ratio, type Suite } from '../harness.js';

/** Rows of each of the sources, and elements of a row. */
const CASES = [
  { sources: 10, rows: 64, width: 4096 },
  { sources: 32, rows: 128, width: 1024 },
  { sources: 80, rows: 16, width: 16384 },
];

/** Merging and dispatching against copying the same bytes. */
export const suite: Suite = {
  claim:
    'Merging features and dispatching their gradient run at 0.9 of the speed of memcpy or more.',
  async run({ report, quick, say }) {
    const rows: string[][] = [];
    for (const { sources: count, rows: size, width } of quick ? CASES.slice(0, 1) : CASES) {
      const title = `${count} sources of ${size} x ${width}, f32`;
      say(title);
      const whole = Tensor.from(normals(1, count * size * width), [count * size, width]);
      const target = Tensor.zeros(whole.shape, 'f32');
      const sources = Array.from({ length: count }, (_, i) =>
        whole.slice(i * size, (i + 1) * size),
      );
      const sizes = sources.map(() => size);
      const order = Int32Array.from({ length: count * size }, (_, k) => {
        return (k % count) * size + Math.floor(k / count);
      });
      const permutation = Tensor.from(order);
      const factors = sizes.map((_, i) => 1 + i / count);
      const wait = (tensor: Tensor) => {
        const probe = tensor.slice(0, 1);
        probe.readSync();
        probe.dispose();
      };
      const merged = mergeFeatures(sources, { permutation });
      const back = dispatchGradient(merged, sizes, { permutation, dtype: 'f32' });
      const [sent, came] = [sources.at(-1)!.readSync(), back.at(-1)!.readSync()];
      check(
        came.every((value, i) => value === sent[i]),
        title,
      );
      for (const tensor of back) tensor.dispose();
      const timed = (name: string, body: () => Tensor): Contender => ({
        name,
        run: () =>
          scope(() => {
            wait(body());
            return undefined;
          }),
      });
      const contenders = [
        {
          name: 'memcpy',
          run: () => {
            target.copyFrom(whole);
            wait(target);
            return undefined;
          },
        },
        timed('merge, in order', () => mergeFeatures(sources)),
        timed('merge, mixed', () => mergeFeatures(sources, { permutation })),
        timed('merge, mixed, scaled', () =>
          mergeFeatures(sources, { permutation, scales: factors }),
        ),
        timed('dispatch, mixed', () => dispatchGradient(merged, sizes, { permutation }).at(-1)!),
        timed(
          'dispatch, mixed, scaled',
          () => dispatchGradient(merged, sizes, { permutation, factors }).at(-1)!,
        ),
      ];
      const timings = await interleave(contenders, { rounds: quick ? 3 : 9, least: 0.1 });
      for (const timing of timings) {
        const speed = ratio(timings[0]!, timing);
        rows.push([title, timing.name, formatSeconds(timing.median), speed.toFixed(2)]);
        say(rows.at(-1)!.join('  '));
        if (timing !== timings[0]) {
          report.target(`${title}: ${timing.name}, speed over memcpy`, speed, 'at least', 0.9);
        }
      }
      for (const tensor of [whole, target, merged, permutation, ...sources]) tensor.dispose();
    }
    report.table('Copies of the same bytes', ['case', 'what', 'time', 'speed over memcpy'], rows);
    report.note(
      'memcpy copies one tensor into another in the same process; new tensors come from the pool.',
    );
  },
};
