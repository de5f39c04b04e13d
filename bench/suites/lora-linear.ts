import { cast } from '../../ts/ops/cast.js';
import { linear, linearInputGradient } from '../../ts/ops/linear.js';
import { loraLinear, loraLinearBackward } from '../../ts/ops/lora-linear.js';
import { keep, scope } from '../../ts/tensor/scope.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { normals, roundToBf16, withDirectory, writeRaw } from '../data.js';
import {
  checkClose,
  formatSeconds,
  interleave,
  ofPeer,
  onDevice,
  ratio,
  type Suite,
  type SuiteContext,
} from '../harness.js';
import { Roofline, ROOFLINE_COLUMNS } from '../roofline.js';
import { watchOps } from '../watch-ops.js';

/** Tokens, outputs, inputs, rank, and the speed over PEFT that is wanted on a CPU in f32 and bf16. */
const SHAPES = [
  { tokens: 512, outputs: 1024, inputs: 1024, rank: 8, targets: { f32: 1.3, bf16: 1.3 } },
  { tokens: 2048, outputs: 4096, inputs: 4096, rank: 16, targets: { f32: 1.15, bf16: 1.1 } },
] as const;
/** Proves that the suite works where a GPU is emulated. */
const TINY = { tokens: 32, outputs: 64, inputs: 64, rank: 4, targets: { f32: 0, bf16: 0 } };
/** The speed over PEFT that is wanted on a GPU. */
const GPU_TARGET = 1.4;

type LayerShape = (typeof SHAPES)[number] | typeof TINY;

const ALPHA = 16;
/** Values of every result that are compared with the peer's. */
const SAMPLES = 200;

async function measure(
  { report, peer: startPeer, quick, say, device, peerDevice }: SuiteContext,
  roofline: Roofline,
  { tokens, outputs, inputs, rank, targets }: LayerShape,
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
    return [name, data, Tensor.from(data, [rows!, columns!], { device })] as const;
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
      watchOps(
        (tensor) => tensor === a,
        (op) => {
          hidden = op.saved.at(-1)?.reshape([tokens, rank]);
        },
      );
      const [y] = loraLinear(x, [{ weight, lora }], { products: dtype });
      const path = { ...lora, hidden: hidden!, wants: { a: true, b: true } };
      const parts = [{ gradient: dy, weight, lora: path }];
      const { x: dx, factors } = loraLinearBackward(x, x.shape, parts, true, dtype);
      return { y: keep(y!), x: keep(dx!), a: keep(factors[0]!.a!), b: keep(factors[0]!.b!) };
    });
  const contenders = [
    onDevice('espalier', device, () => Object.values(step())),
    onDevice('espalier, bare products', device, () => [
      linear(x, weight, undefined, { products: dtype }),
      linearInputGradient(dy, weight, dtype),
    ]),
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
    const call = (method: string) => (repeats: number) => peer.call<number>(method, { repeats });
    contenders.push(ofPeer('PEFT', peerDevice, call('lora_time')));
    contenders.push(ofPeer('torch, bare products', peerDevice, call('lora_products_time')));
  });
  const timings = await interleave(contenders, {
    rounds: quick ? 3 : 9,
    least: quick || device !== 'cpu' ? 0.1 : 0.3,
  });
  const [own, products, peft, torch] = timings;
  for (const tensor of [x, wide, weight, a, b, dy]) tensor.dispose();
  const row = [title, formatSeconds(own!.median), formatSeconds(products!.median)];
  row.push((1 / ratio(products!, own!)).toFixed(2));
  const width = dtype === 'f32' ? 4 : 2;
  // x, dy and the weight twice, y and dx once; the low-rank path is small beside them.
  const bytes = 4 * (3 * tokens * (inputs + outputs)) + 2 * width * outputs * inputs;
  const flops = 4 * tokens * outputs * inputs + 10 * tokens * rank * (inputs + outputs);
  const cells = roofline.cells({ bytes, flops, dtype }, own!.median);
  if (peft === undefined || torch === undefined) return [...row, '', '', '', '', ...cells];
  const target = device === 'cpu' ? targets[dtype] : GPU_TARGET;
  report.target(`${title}: speed over PEFT`, ratio(peft, own!), 'at least', target);
  return [
    ...row,
    formatSeconds(peft.median),
    formatSeconds(torch.median),
    ratio(peft, own!).toFixed(2),
    ratio(torch, products!).toFixed(2),
    ...cells,
  ];
}

/** One LoRA layer, forward and backward, beside PEFT. */
export const suite: Suite = {
  claim:
    'Forward and backward of a LoRA layer are at least 1.3 times as fast as PEFT on torch, and 1.1 to ' +
    '1.15 times where two large products are nearly all of the work; 1.4 times on a GPU.',
  async run(context) {
    const rows: string[][] = [];
    const roofline = await Roofline.measure(context);
    const small = context.device === 'cpu' ? SHAPES.slice(0, 1) : [TINY];
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
        ...ROOFLINE_COLUMNS,
      ],
      rows,
    );
    for (const shape of context.quick ? small : [...SHAPES].reverse()) {
      for (const dtype of ['f32', 'bf16'] as const) {
        rows.push(await measure(context, roofline, shape, dtype));
        context.say(rows.at(-1)!.join('  '));
      }
    }
    context.report.note(
      'All of y, dx, dA and dB. `products` are x Wᵀ and dy W alone; the last two columns are the times ' +
        'of PEFT and of torch over ours. With bf16, torch holds everything in bf16, ours the weight.',
    );
  },
};
