import { Random } from '../../ts/common/random.js';
import { cast } from '../../ts/ops/cast.js';
import { linear } from '../../ts/ops/linear.js';
import { type MaskedMatmulOptions, maskedMatmul } from '../../ts/ops/masked-matmul.js';
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
  type Timing,
} from '../harness.js';
import type { Peer } from '../peers/peer.js';
import { Roofline, ROOFLINE_COLUMNS } from '../roofline.js';

type ProductShape = readonly [tokens: number, outputs: number, inputs: number];

/** A small block, a square layer, the two products of a LLaMA-2-7B MLP. */
const CPU_SHAPES: readonly ProductShape[] = [
  [512, 1024, 1024],
  [128, 4096, 4096],
  [256, 2048, 5632],
  [64, 11008, 4096],
];
/** The same for calibration windows together, and a square layer with few tokens. */
const GPU_SHAPES: readonly ProductShape[] = [
  [4096, 4096, 4096],
  [256, 4096, 4096],
  [2048, 11008, 4096],
];
/** Proves that the suite works where a GPU is emulated. */
const TINY_SHAPES: readonly ProductShape[] = [[32, 64, 64]];
const CPU_DENSITIES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
const GPU_DENSITIES = [0.25, 0.5, 0.75, 1];
const TILE = 64;

type Kind = 'rows' | 'columns' | 'tiles' | 'scattered';
interface Case {
  kind: Kind;
  density: number;
  options: MaskedMatmulOptions;
  kept(n: number, k: number): boolean;
  lists: { rows?: number[]; columns?: number[] };
}

const HALF: readonly Kind[] = ['rows', 'columns'];

function listCase(
  kind: 'rows' | 'columns',
  density: number,
  size: number,
  seed: number,
  device: string,
): Case {
  const list = new Random(seed).sample(size, Math.round(size * density));
  const set = new Set(list);
  const lists = { [kind]: list };
  const indices = Tensor.from(Int32Array.from(list), [list.length], { device });
  const kept = kind === 'rows' ? (n: number) => set.has(n) : (_: number, k: number) => set.has(k);
  return { kind, density, options: { [kind]: indices }, kept, lists };
}

/** A 0/1 mask whose kept elements fill tiles of 64 x 64, or lie scattered over all of them. */
function maskCase(
  kind: 'tiles' | 'scattered',
  density: number,
  [n, k]: [number, number],
  device: string,
): Case {
  const random = new Random(7);
  const across = Math.ceil(k / TILE);
  const tiles = Array.from({ length: Math.ceil(n / TILE) * across }, () => random.float());
  const mask = new Uint8Array(n * k);
  for (let i = 0; i < mask.length; i++) {
    const row = Math.floor(i / k);
    const tile = Math.floor(row / TILE) * across + Math.floor((i - row * k) / TILE);
    mask[i] = (kind === 'tiles' ? tiles[tile]! : random.float()) < density ? 1 : 0;
  }
  const kept = (row: number, column: number) => mask[row * k + column] === 1;
  const options = { mask: Tensor.from(mask, [n, k], { device }) };
  return { kind, density, options, kept, lists: {} };
}

async function measureShape(
  { report, peer: startPeer, quick, say, device, peerDevice }: SuiteContext,
  roofline: Roofline,
  [tokens, outputs, inputs]: ProductShape,
  dtype: 'f32' | 'bf16',
): Promise<void> {
  const title = `${tokens} x ${outputs} x ${inputs}, ${dtype}`;
  say(title);
  const a = normals(1, tokens * inputs);
  const b = roundToBf16(normals(2, outputs * inputs));
  const x = Tensor.from(a, [tokens, inputs], { device });
  const wide = Tensor.from(b, [outputs, inputs], { device });
  const w = dtype === 'f32' ? wide : cast(wide, dtype);
  const densities = quick ? [0.5, 1] : device === 'cpu' ? CPU_DENSITIES : GPU_DENSITIES;
  const cases = densities.flatMap((density): Case[] => [
    listCase('rows', density, outputs, 3, device),
    listCase('columns', density, inputs, 4, device),
    maskCase('tiles', density, [outputs, inputs], device),
    ...(density === 0.5 ? [maskCase('scattered', density, [outputs, inputs], device)] : []),
  ]);

  // Correctness first: sampled elements against sums in double precision.
  const random = new Random(5);
  const positions = Array.from({ length: 48 }, (): [number, number] => [
    random.integer(tokens),
    random.integer(outputs),
  ]);
  const expected = (one: Case, [t, n]: [number, number]) => {
    let sum = 0;
    for (let k = 0; k < inputs; k++) {
      if (one.kept(n, k)) sum += a[t * inputs + k]! * b[n * inputs + k]!;
    }
    return sum;
  };
  const scale = Math.sqrt(inputs);
  for (const one of cases) {
    const y = maskedMatmul(x, w, one.options);
    const got = y.readSync();
    y.dispose();
    for (const position of positions) {
      const value = got[position[0] * outputs + position[1]] as number;
      const what = `${title} ${one.kind} ${one.density} at ${position}`;
      checkClose(value, expected(one, position), 1e-5, what, scale);
    }
  }

  const peer = await startPeer();
  const dense = onDevice('dense', device, () => linear(x, w));
  const rows: string[][] = [];
  report.table(
    `${title} (tokens x outputs x inputs)`,
    [
      ...['masked', 'kept', 'our dense', 'our masked', 'ratio', 'torch dense'],
      ...['torch index_select', ...ROOFLINE_COLUMNS],
    ],
    rows,
  );
  const rounds = quick ? 3 : device === 'cpu' ? 7 : 5;
  const least = quick ? 0.02 : device === 'cpu' ? 0.06 : 0.03;
  await withDirectory(async (directory) => {
    if (peer) await loadPeer(peer, directory, a, b, { tokens, outputs, inputs, dtype });
    for (const one of cases) {
      const masked = () => maskedMatmul(x, w, one.options);
      const contenders = [dense, onDevice('masked', device, masked)];
      const half = one.density === 0.5 && HALF.includes(one.kind);
      if (peer && half) {
        const values = await peer.call<number[]>('product_values', { positions, ...one.lists });
        for (const [i, value] of values.entries()) {
          const reference = expected(one, positions[i]!);
          checkClose(value, reference, dtype === 'f32' ? 1e-5 : 0.05, 'torch', scale);
        }
        const time = (lists: object) => (repeats: number) =>
          peer.call<number>('product_time', { repeats, ...lists });
        contenders.push(ofPeer('torch dense', peerDevice, time({})));
        contenders.push(ofPeer('torch gathered', peerDevice, time(one.lists)));
      }
      const timings = await interleave(contenders, { rounds, least });
      const [plain, own, torch, gathered] = timings;
      const share = ratio(own!, plain!);
      const beside = (other: Timing) =>
        `${formatSeconds(other.median)} (${ratio(own!, other).toFixed(2)})`;
      rows.push([
        one.kind,
        String(one.density),
        formatSeconds(plain!.median),
        formatSeconds(own!.median),
        share.toFixed(2),
        torch ? beside(torch) : '',
        gathered ? beside(gathered) : '',
        ...roofline.cells(workOf(one, [tokens, outputs, inputs], dtype), own!.median),
      ]);
      say(rows.at(-1)!.join('  '));
      const limit = half ? 0.55 : 1.05;
      report.target(`${title}: ${one.kind} ${one.density}`, share, 'at most', limit);
    }
  });
  for (const { options } of cases) {
    for (const tensor of Object.values(options)) if (tensor instanceof Tensor) tensor.dispose();
  }
  for (const tensor of [x, w, wide]) tensor.dispose();
}

/** What a masked product has to read, write and multiply; our products are f32 in either dtype. */
function workOf({ kind, density }: Case, [tokens, outputs, inputs]: ProductShape, dtype: string) {
  const rows = kind === 'rows' ? density : 1;
  const columns = kind === 'columns' ? density : 1;
  const weights = outputs * inputs * density * (dtype === 'f32' ? 4 : 2);
  const mask = HALF.includes(kind) ? 0 : outputs * inputs;
  const share = kind === 'scattered' ? 1 : kind === 'tiles' ? density : rows * columns;
  return {
    bytes: 4 * tokens * (inputs * columns + outputs) + weights + mask,
    flops: 2 * tokens * outputs * inputs * share,
  };
}

async function loadPeer(
  peer: Peer,
  directory: string,
  a: Float32Array,
  b: Float32Array,
  shape: { tokens: number; outputs: number; inputs: number; dtype: string },
): Promise<void> {
  const [x, w] = [writeRaw(directory, 'x', a), writeRaw(directory, 'w', b)];
  await peer.call('product_load', { x, w, ...shape });
}

/** The masked product against our dense product, and against torch. */
export const suite: Suite = {
  claim:
    'A product with half of the rows or columns masked takes at most 0.55 of the dense one, and at ' +
    'no density more than 1.05 of it.',
  // How many of the shapes are measured.
  options: { shapes: { type: 'string' } },
  async run(context) {
    const { report, device, quick, options } = context;
    const roofline = await Roofline.measure(context);
    const all = device === 'cpu' ? CPU_SHAPES : quick ? TINY_SHAPES : GPU_SHAPES;
    const shapes = all.slice(0, Number(options.shapes ?? (quick ? 1 : all.length)));
    for (const shape of shapes) {
      for (const dtype of ['f32', 'bf16'] as const) {
        await measureShape(context, roofline, shape, dtype);
      }
    }
    report.note(
      'Ratios are medians over rounds of neighbouring measurements, ours in turns with the others. ' +
        'Rows and columns are drawn at random; `tiles` is a 0/1 mask whose kept elements fill tiles ' +
        'of 64 x 64, `scattered` one that leaves no tile empty.',
    );
    report.note(
      'Numbers in brackets: our masked time over that of torch. With bf16 weights torch also takes ' +
        'bf16 activations and returns bf16; ours keep f32 activations and results.',
    );
  },
};
