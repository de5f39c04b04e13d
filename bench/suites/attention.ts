import { attention, type AttentionOptions } from '../../ts/ops/attention.js';
import { attentionBackward } from '../../ts/ops/attention-backward.js';
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

interface Problem {
  name: string;
  batch: number;
  tokens: number;
  heads: number;
  keyHeads: number;
  width: number;
}

/** Prefill and training of LLaMA-2-7B's heads, long context, and grouped heads as in LLaMA-3-8B. */
const GPU_PROBLEMS: readonly Problem[] = [
  { name: 'LLaMA-2-7B', batch: 4, tokens: 2048, heads: 32, keyHeads: 32, width: 128 },
  { name: 'grouped heads', batch: 2, tokens: 4096, heads: 32, keyHeads: 8, width: 128 },
  { name: 'TinyLlama', batch: 8, tokens: 1024, heads: 32, keyHeads: 4, width: 64 },
];
const CPU_PROBLEMS: readonly Problem[] = [
  { name: 'TinyLlama', batch: 1, tokens: 512, heads: 32, keyHeads: 4, width: 64 },
  { name: 'long', batch: 1, tokens: 2048, heads: 8, keyHeads: 8, width: 64 },
];
/** Proves that the suite works where a GPU is emulated. */
const TINY: readonly Problem[] = [
  { name: 'tiny', batch: 1, tokens: 33, heads: 4, keyHeads: 2, width: 16 },
];
/** Values of every result that are compared with the peer's, the last ones: they see all keys. */
const SAMPLES = 512;

async function measure(
  { report, peer: startPeer, quick, say, device, peerDevice }: SuiteContext,
  roofline: Roofline,
  { name, batch, tokens, heads, keyHeads, width }: Problem,
  rows: string[][],
): Promise<void> {
  const groups = keyHeads === heads ? String(heads) : `${heads}/${keyHeads}`;
  const title = `${name}: ${batch} x ${tokens} tokens, ${groups} heads of ${width}, causal`;
  say(title);
  const counts = { q: heads, k: keyHeads, v: keyHeads, dy: heads };
  const values = Object.entries(counts).map(([label, count], seed) => {
    // Rounded, so that both sides start from the same numbers in either dtype.
    const data = roundToBf16(normals(seed + 1, batch * tokens * count * width));
    const shape = [batch, tokens, count, width];
    return { label, data, tensor: Tensor.from(data, shape, { device }) };
  });
  const [q, k, v, dy] = values.map(({ tensor }) => tensor) as [Tensor, Tensor, Tensor, Tensor];
  const scale = 1 / Math.sqrt(width);
  // What a training would keep, without a graph: a recorder sees it.
  const withLogarithms = (options: AttentionOptions) => {
    let logSumExp: Tensor | undefined;
    watchOps(
      (tensor) => tensor === q,
      ({ saved }) => {
        logSumExp = saved[4]?.reshape([batch, tokens, heads]);
      },
    );
    const output = attention(q, k, v, options);
    watchOps(() => false);
    return { q, k, v, output, logSumExp: logSumExp! };
  };

  const peer = await startPeer();
  await withDirectory(async (directory) => {
    const files = Object.fromEntries(
      values.map(({ label, data }) => [label, writeRaw(directory, label, data)]),
    );
    const sizes = { batch, tokens, heads, key_heads: keyHeads, width, causal: true };
    const elements = batch * tokens * width * (2 * heads + 2 * keyHeads);
    const products = 2 * batch * heads * tokens * tokens * width;
    const load = (dtype: string) => peer!.call('attention_load', { files, ...sizes, dtype });
    for (const dtype of ['f32', 'bf16'] as const) {
      const options = { scale, products: dtype };
      const kept = withLogarithms(options);
      const backward = () => Object.values(attentionBackward(dy, kept, options));
      const contenders = {
        forward: [onDevice('espalier', device, () => attention(q, k, v, options))],
        backward: [onDevice('espalier', device, backward)],
      };
      if (peer !== undefined) {
        await load(dtype);
        const theirs = await peer.call<Record<string, number[]>>('attention_values', {
          count: SAMPLES,
        });
        const gradients = backward();
        const ours = [kept.output, ...gradients];
        for (const [position, tensor] of ours.entries()) {
          const label = 'yqkv'[position]!;
          const got = (tensor.readSync() as Float32Array).slice(-SAMPLES);
          const size = Math.sqrt(got.reduce((sum, x) => sum + x * x, 0) / got.length);
          for (const [i, expected] of theirs[label]!.entries()) {
            const tolerance = dtype === 'f32' ? 1e-3 : 0.1;
            checkClose(got[i]!, expected, tolerance, `${title}: ${label}[${i}]`, size);
          }
        }
        for (const tensor of gradients) tensor.dispose();
      }
      for (const what of ['forward', 'backward'] as const) {
        const call = (repeats: number) => peer!.call<number>('attention_time', { what, repeats });
        const all = [...contenders[what]];
        if (peer) all.push(ofPeer(`torch ${dtype}`, peerDevice, call));
        const [own, torch] = await interleave(all, { rounds: quick ? 3 : 7 });
        // Half of all pairs are seen; the gradient takes five products where the result takes two.
        const flops = (products / 2) * (what === 'forward' ? 2 : 5);
        const bytes = 4 * elements * (what === 'forward' ? 1 : 2);
        rows.push([
          title,
          what,
          dtype,
          formatSeconds(own!.median),
          torch ? formatSeconds(torch.median) : '',
          torch ? ratio(own!, torch).toFixed(2) : '',
          ...roofline.cells({ bytes, flops, dtype }, own!.median),
        ]);
        say(rows.at(-1)!.join('  '));
        if (torch && device !== 'cpu' && dtype === 'bf16') {
          const target = `${title}: ${what}, over torch's flash attention`;
          report.target(target, ratio(own!, torch), 'at most', 1.5);
        }
      }
      for (const tensor of [kept.output, kept.logSumExp]) tensor.dispose();
    }
  });
  for (const tensor of [q, k, v, dy]) tensor.dispose();
}

/** Attention and its gradients beside torch's. */
export const suite: Suite = {
  claim:
    'On a GPU, attention and its gradients take at most 1.5 times as long as PyTorch’s flash attention ' +
    'in bf16; PyTorch’s f32 is shown beside it.',
  async run(context) {
    const { device, quick, report } = context;
    const roofline = await Roofline.measure(context);
    const problems = device === 'cpu' ? CPU_PROBLEMS : quick ? TINY : GPU_PROBLEMS;
    const rows: string[][] = [];
    const columns = ['problem', 'pass', 'dtype', 'ours', 'torch', 'ours over torch'];
    report.table('Attention', [...columns, ...ROOFLINE_COLUMNS], rows);
    for (const problem of quick ? problems.slice(0, 1) : problems) {
      await measure(context, roofline, problem, rows);
    }
    report.note(
      'The backward pass is timed alone. On a GPU torch computes bf16 by flash attention and nothing ' +
        'else, from bf16 tensors; ours are f32, and bf16 says how they are multiplied where the device ' +
        'can. Floors are those of the pairs that a causal mask leaves.',
    );
  },
};
