import { adamW } from '../../ts/ops/adam-w.js';
import { normBackward } from '../../ts/ops/norm-backward.js';
import { rmsNorm } from '../../ts/ops/rms-norm.js';
import { softmaxCrossEntropy } from '../../ts/ops/softmax-cross-entropy.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { normals } from '../data.js';
import {
  checkClose,
  type Contender,
  formatFigure,
  formatSeconds,
  interleave,
  ofPeer,
  onDevice,
  ratio,
  type Suite,
} from '../harness.js';
import { Roofline } from '../roofline.js';
import { watchOps } from '../watch-ops.js';

interface Sizes {
  rows: number;
  width: number;
  classes: number;
  parameters: number;
  tensors: number;
}

const GPU: Sizes = { rows: 32768, width: 4096, classes: 32000, parameters: 2 ** 27, tensors: 64 };
const CPU: Sizes = { rows: 2048, width: 2048, classes: 32000, parameters: 2 ** 22, tensors: 64 };
/** Proves that the suite works where a GPU is emulated. */
const TINY: Sizes = { rows: 16, width: 64, classes: 128, parameters: 512, tensors: 4 };

const EPS = 1e-6;

/** Norms, loss and optimiser, which read and write much and compute little, beside a copy. */
export const suite: Suite = {
  claim:
    'RMSNorm, its gradient, cross-entropy with its gradient and AdamW move their bytes at 0.85 of the ' +
    'rate of a copy on a GPU.',
  async run(context) {
    const { device, peerDevice, quick, report, say } = context;
    const roofline = await Roofline.measure(context);
    const sizes = device === 'cpu' ? CPU : quick ? TINY : GPU;
    const { rows, width, classes, parameters, tensors } = sizes;
    const labelled = Math.max(1, Math.floor((rows * width) / classes));
    const data = normals(1, rows * width);
    const x = Tensor.from(data, [rows, width], { device });
    const dy = Tensor.from(normals(2, rows * width), [rows, width], { device });
    const ones = Tensor.from(new Float32Array(width).fill(1), [width], { device });
    const scores = data.subarray(0, labelled * classes);
    const logits = Tensor.from(scores, [labelled, classes], { device });
    const classOf = Int32Array.from({ length: labelled }, (_, i) => (i * 7919) % classes);
    const labels = Tensor.from(classOf, [labelled], { device });

    // Correctness first: a row of each, in double precision.
    const y = rmsNorm(x, ones, EPS);
    const first = y.slice(0, 1);
    const got = first.readSync() as Float32Array;
    const mean = data.subarray(0, width).reduce((sum, value) => sum + value * value, 0) / width;
    for (let i = 0; i < width; i++) {
      checkClose(got[i]!, data[i]! / Math.sqrt(mean + EPS), 1e-5, `rmsNorm[${i}]`, 1);
    }
    let loss = 0;
    for (let row = 0; row < labelled; row++) {
      const line = scores.subarray(row * classes, (row + 1) * classes);
      loss +=
        Math.log(line.reduce((sum, value) => sum + Math.exp(value), 0)) - line[classOf[row]!]!;
    }
    const ownLoss = softmaxCrossEntropy(logits, labels);
    checkClose(ownLoss.readSync()[0] as number, loss / labelled, 1e-5, 'softmaxCrossEntropy');
    for (const tensor of [y, first, ownLoss]) tensor.dispose();

    const made = (value: number, shape: number[]) =>
      Array.from({ length: tensors }, () =>
        Tensor.from(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value), shape, {
          device,
        }),
      );
    const share = [parameters / tensors];
    const state = {
      parameters: made(1, share),
      gradients: made(1, share),
      m: made(0, share),
      v: made(0, share),
      steps: made(0, []),
    };
    const factors = { lr: 1e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 };
    const step = () => {
      adamW(state, factors);
      return state.parameters.at(-1)!.slice(0, 1);
    };
    const before = step();
    // The first step of a constant gradient moves a parameter of 1 by lr, after its decay.
    checkClose(before.readSync()[0] as number, 1 - 1e-4 * 0.01 - 1e-4, 1e-6, 'adamW');
    before.dispose();

    // A loss that somebody wants the gradient of computes it in the same pass.
    watchOps((tensor) => tensor === logits);
    const elements = rows * width;
    const steps: { name: string; bytes: number; work: () => Tensor | Tensor[] }[] = [
      { name: 'rmsNorm', bytes: 8 * elements, work: () => rmsNorm(x, ones, EPS) },
      {
        name: 'rmsNorm backward',
        bytes: 12 * elements,
        work: () => normBackward(dy, x, ones, { eps: EPS, wantWeight: false }).x,
      },
      {
        name: 'softmaxCrossEntropy',
        bytes: 8 * labelled * classes,
        work: () => softmaxCrossEntropy(logits, labels),
      },
      { name: 'adamW', bytes: 28 * parameters, work: step },
    ];
    const peer = await context.peer();
    await peer?.call('steps_load', { ...sizes });
    const table: string[][] = [];
    report.table(
      `${rows} x ${width} elements, ${labelled} x ${classes} logits, ${parameters} parameters in ` +
        `${tensors} tensors, f32`,
      ['what', 'GB', 'ours', 'floor', "of a copy's rate", 'torch', 'faster than torch by'],
      table,
    );
    for (const { name, bytes, work } of steps) {
      const contenders: Contender[] = [onDevice('espalier', device, work)];
      const theirs = (repeats: number) => peer!.call<number>('steps_time', { what: name, repeats });
      if (peer) contenders.push(ofPeer('torch', peerDevice, theirs));
      const [own, torch] = await interleave(contenders, { rounds: quick ? 3 : 9 });
      const rate = roofline.bandwidth(bytes, own!.median);
      table.push([
        name,
        formatFigure(bytes / 1e9),
        formatSeconds(own!.median),
        formatSeconds(bytes / roofline.bytesPerSecond),
        rate.toFixed(2),
        torch ? formatSeconds(torch.median) : '',
        torch ? ratio(torch, own!).toFixed(2) : '',
      ]);
      say(table.at(-1)!.join('  '));
      if (device !== 'cpu') report.target(`${name}: of the rate of a copy`, rate, 'at least', 0.85);
    }
    report.note(
      'Bytes are those that must be read and written once: two tensors for rmsNorm, three for its ' +
        'gradient, logits and their gradient for the loss, seven arrays for AdamW.',
    );
    const all = [x, dy, ones, logits, labels, ...Object.values(state).flat()];
    for (const tensor of all) tensor.dispose();
  },
};
