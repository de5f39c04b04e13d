import { cast } from '../../ts/ops/cast.js';
import { linear, linearInputGradient } from '../../ts/ops/linear.js';
import { loraLinear, loraLinearBackward } from '../../ts/ops/lora-linear.js';
import { keep, scope } from '../../ts/tensor/scope.js';
import { installRecorder } from '../../ts/tensor/recorder.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { normals, roundToBf16, withDirectory, writeRaw } from '../data.js';
import {
  checkClose,
  type Contender,
  formatSeconds,
  interleave,
  ratio,
  type Suite,
  type SuiteContext,
} from '../harness.js';

/** Tokens, outputs, inputs, rank, and the speed over PEFT that is wanted in f32 and in bf16. */
const SHAPES = [
  { tokens: 512, outputs: 1024, inputs: 1024, rank: 8, targets: { f32: 1.3, bf16: 1.3 } },
  { tokens: 2048, outputs: 4096, inputs: 4096, rank: 16, targets: { f32: 1.15, bf16: 1.1 } },
] as const;

const ALPHA = 16;
/** Values of every result that are compared with the peer's. */
const SAMPLES = 200;

async function measure(
  { report, peer: startPeer, quick, say }: SuiteContext,
  { tokens, outputs, inputs, rank, targets }: (typeof SHAPES)[number],
  dtype: 'f32' | 'bf16',
): Promise<string[]> {
  const title = `${tokens} x ${outputs} x ${inputs}, r = ${rank}, ${dtype}`;
  say(title);
  // Rounded, so that both sides start from the same numbers in either dtype.
  const shapes = {
    x: [tokens, inputs],
    w: [outputs, inputs],
    a: [rank, inputs],
    b: [outputs, rank],
    dy: [tokens, outputs],
  };
  const values = Object.entries(shapes).map(([name, [rows, columns]], seed) => {
    const data = roundToBf16(normals(seed + 1, rows! * columns!));
    if (name !== 'x' && name !== 'dy') for (const i of data.keys()) data[i]! /= 32;
    return [name, data, Tensor.from(data, [rows!, columns!])] as const;
  });
  const [x, wide, a, b, dy] = values.map(([, , tensor]) => tensor) as [
    Tensor,
    Tensor,
    Tensor,
    Tensor,
    Tensor,
  ];
  const weight = dtype === 'f32' ? wide : cast(wide, dtype);
  const lora = { a, b, scale: ALPHA / rank, dropout: 0, seed: 0 };
  const step = () =>
    scope(() => {
      // What a training would keep, without a graph: the hidden activations come from a recorder.
      let hidden: Tensor | undefined;
      installRecorder({
        tracks: (tensor) => tensor === a,
        record: (op) => {
          hidden = op.saved.at(-1)?.reshape([tokens, rank]);
        },
        backward: () => undefined,
        disposed: () => undefined,
      });
      const [y] = loraLinear(x, [{ weight, lora }], { products: dtype });
      const path = { ...lora, hidden: hidden!, wants: { a: true, b: true } };
      const parts = [{ gradient: dy, weight, lora: path }];
      const { x: dx, factors } = loraLinearBackward(x, x.shape, parts, true, dtype);
      return { y: keep(y!), x: keep(dx!), a: keep(factors[0]!.a!), b: keep(factors[0]!.b!) };
    });
  const wait = (tensor: Tensor) => {
    const probe = tensor.reshape([tensor.size]).slice(0, 1);
    probe.readSync();
    probe.dispose();
  };
  const contenders: Contender[] = [
    {
      name: 'espalier',
      run: () => {
        const results = Object.values(step());
        wait(results.at(-1)!);
        for (const tensor of results) tensor.dispose();
        return undefined;
      },
    },
    {
      name: 'espalier, bare products',
      run: () =>
        scope(() => {
          linear(x, weight, undefined, { products: dtype });
          wait(linearInputGradient(dy, weight, dtype));
          return undefined;
        }),
    },
  ];
  const peer = await startPeer();
  await withDirectory(async (directory) => {
    if (peer === undefined) return;
    const files = Object.fromEntries(
      values.map(([name, data]) => [name, writeRaw(directory, name, data)]),
    );
    await peer.call('lora_load', { files, tokens, outputs, inputs, rank, alpha: ALPHA, dtype });
    const theirs = await peer.call<Record<string, number[]>>('lora_values', { count: SAMPLES });
    for (const [name, tensor] of Object.entries(step())) {
      const got = tensor.readSync() as Float32Array;
      const size = Math.sqrt(got.reduce((sum, value) => sum + value * value, 0) / got.length);
      for (const [i, value] of theirs[name]!.entries()) {
        checkClose(got[i]!, value, dtype === 'f32' ? 1e-3 : 0.1, `${title}: ${name}[${i}]`, size);
      }
      tensor.dispose();
    }
    const call = (method: string) => () => peer.call<number>(method, { repeats: 1 });
    contenders.push({ name: 'PEFT', run: call('lora_time') });
    contenders.push({ name: 'torch, bare products', run: call('lora_products_time') });
  });
  const timings = await interleave(contenders, { rounds: quick ? 3 : 9, least: quick ? 0.1 : 0.3 });
  const [own, products, peft, torch] = timings;
  for (const tensor of [x, wide, weight, a, b, dy]) tensor.dispose();
  const row = [title, formatSeconds(own!.median), formatSeconds(products!.median)];
  row.push((1 / ratio(products!, own!)).toFixed(2));
  if (peft === undefined || torch === undefined) return [...row, '', '', '', ''];
  report.target(`${title}: speed over PEFT`, ratio(peft, own!), 'at least', targets[dtype]);
  return [
    ...row,
    formatSeconds(peft.median),
    formatSeconds(torch.median),
    ratio(peft, own!).toFixed(2),
    ratio(torch, products!).toFixed(2),
  ];
}

/** One LoRA layer, forward and backward, beside PEFT. */
export const suite: Suite = {
  claim:
    'Forward and backward of a LoRA layer are at least 1.3 times as fast as PEFT on torch, and 1.1 to ' +
    '1.15 times where two large products are nearly all of the work.',
  async run(context) {
    const rows: string[][] = [];
    for (const shape of context.quick ? SHAPES.slice(0, 1) : SHAPES) {
      for (const dtype of ['f32', 'bf16'] as const) {
        rows.push(await measure(context, shape, dtype));
        context.say(rows.at(-1)!.join('  '));
      }
    }
    context.report.table(
      'A LoRA layer, forward and backward (tokens x outputs x inputs)',
      [
        'shape',
        'ours',
        'our products',
        'ratio',
        'PEFT',
        "torch's products",
        'faster by',
        'products',
      ],
      rows,
    );
    context.report.note(
      'All of y, dx, dA and dB. `products` are x Wᵀ and dy W alone; the last two columns are the times ' +
        'of PEFT and of torch over ours. With bf16, torch holds everything in bf16, ours the weight.',
    );
  },
};
