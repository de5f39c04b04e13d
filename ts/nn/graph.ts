import { EspalierError } from '../common/errors.js';
import type { Pieces } from '../common/pieces.js';
import { accumulate } from '../ops/accumulate.js';
import { add } from '../ops/add.js';
import {
  type Backward,
  installRecorder,
  type OpRecord,
  type Recorder,
} from '../tensor/recorder.js';
import { keep, scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import { isRecording, noGrad } from './no-grad.js';
import { type GradientHolder, trainable } from './trainable.js';

/** One recorded op. It lives as long as an output tensor or a later op can still lead to it. */
interface Node {
  op: string;
  /** Nodes are numbered in the order of recording, so that a walk in descending order is right. */
  sequence: number;
  outputShapes: readonly (readonly number[])[];
  inputs: readonly (Source | undefined)[];
  saved: readonly Tensor[];
  backward: Backward;
  /** Outputs that are not disposed, and nodes that read one. */
  references: number;
  released: boolean;
}

/** Where a tensor's gradient goes: into an output of a node, or to a parameter. */
type Source = { node: Node; output: number } | { holder: GradientHolder; shape: readonly number[] };

/** A gradient on its way; `owned` ones are seen by nobody else and may be added to in place. */
interface Arrived {
  tensor: Tensor;
  owned: boolean;
}

const sources = new WeakMap<Tensor, { node: Node; output: number }>();
let counter = 0;

function sourceOf(tensor: Tensor): Source | undefined {
  const holder = trainable.get(tensor);
  if (holder !== undefined) return { holder, shape: tensor.shape };
  return sources.get(tensor);
}

function copyOf(tensor: Tensor): Tensor {
  const copy = keep(Tensor.zeros(tensor.shape, tensor.dtype, tensor.device));
  copy.copyFrom(tensor);
  return copy;
}

function release(node: Node): void {
  const pending = [node];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (next.released) continue;
    next.released = true;
    for (const tensor of next.saved) tensor.dispose();
    next.saved = [];
    for (const input of next.inputs) {
      if (input === undefined || !('node' in input)) continue;
      input.node.references--;
      if (input.node.references === 0) pending.push(input.node);
    }
    next.inputs = [];
  }
}

function record({ op, inputs, outputs, saved, backward }: OpRecord): void {
  const node: Node = {
    op,
    sequence: counter++,
    outputShapes: outputs.map((output) => output.shape),
    inputs: inputs.map((input) => (input === undefined ? undefined : sourceOf(input))),
    saved: saved.map((tensor) => new Tensor(tensor)),
    backward,
    references: outputs.length,
    released: false,
  };
  for (const input of node.inputs) {
    if (input !== undefined && 'node' in input) input.node.references++;
  }
  for (const [output, tensor] of outputs.entries()) sources.set(tensor, { node, output });
}

function disposed(tensor: Tensor): void {
  const source = sources.get(tensor);
  if (source === undefined) return;
  sources.delete(tensor);
  source.node.references--;
  if (source.node.references === 0) release(source.node);
}

function refuse(code: 'CONFIG' | 'SHAPE', why: string): never {
  throw new EspalierError(code, `backward: ${why}`, { op: 'backward' });
}

/** All nodes that `root` depends on, the latest first. */
function reachable(root: Node): Node[] {
  const seen = new Set<Node>([root]);
  const pending = [root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (node.released) refuse('CONFIG', `a walk through ${node.op} was made before`);
    for (const input of node.inputs) {
      if (input === undefined || !('node' in input) || seen.has(input.node)) continue;
      seen.add(input.node);
      pending.push(input.node);
    }
  }
  return [...seen].sort((a, b) => b.sequence - a.sequence);
}

/** Sums `gradient` into what arrived before; takes a handle of its own. */
function arrive(before: Arrived | undefined, gradient: Tensor): Arrived {
  if (before === undefined) return { tensor: new Tensor(gradient), owned: false };
  if (before.owned) {
    accumulate(before.tensor, gradient);
    return before;
  }
  const tensor = keep(noGrad(() => add(before.tensor, gradient)));
  before.tensor.dispose();
  return { tensor, owned: true };
}

/** Adds `gradient` to what a parameter holds; `shared` ones are copied, since optimisers write. */
function deliver(holder: GradientHolder, gradient: Tensor, shared: boolean): void {
  if (holder.grad !== undefined) accumulate(holder.grad, gradient);
  else holder.grad = shared ? copyOf(gradient) : new Tensor(gradient);
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

function stepBack(node: Node, slots: Map<Node, (Arrived | undefined)[]>): void {
  const arrived = slots.get(node);
  slots.delete(node);
  if (arrived === undefined) return;
  const gradients = node.outputShapes.map((_, i) => arrived[i]?.tensor);
  const wanted = node.inputs.map((input) => input !== undefined);
  const results = noGrad(() => node.backward(gradients, node.saved, wanted));
  for (const [i, input] of node.inputs.entries()) {
    const gradient = results[i];
    if (input === undefined || gradient === undefined) continue;
    if ('holder' in input) {
      const passedOn = node.op === 'reshape' || gradients.includes(gradient);
      const repeated = results.indexOf(gradient) !== i;
      deliver(input.holder, gradient, passedOn || repeated);
      continue;
    }
    const slot = slots.get(input.node) ?? [];
    slots.set(input.node, slot);
    slot[input.output] = arrive(slot[input.output], gradient);
  }
  for (const gradient of arrived) gradient?.tensor.dispose();
}

/** The walk back from `root`, a piece for each op; as `Tensor.backward`. */
function* walkBack(root: Tensor, gradient: Tensor | undefined): Pieces<void> {
  const source = sources.get(root);
  if (source === undefined) refuse('CONFIG', 'no trainable parameter leads to this tensor');
  if (gradient === undefined && root.size !== 1) {
    refuse('SHAPE', `a tensor of shape [${root.shape}] needs a gradient of that shape`);
  }
  if (gradient !== undefined && !sameShape(gradient.shape, root.shape)) {
    refuse('SHAPE', `gradient: expected [${root.shape}], got [${gradient.shape}]`);
  }
  const nodes = reachable(source.node);
  // Held, so that freeing a node does not free those it reads before their turn.
  for (const node of nodes) node.references++;
  const slots = new Map<Node, (Arrived | undefined)[]>();
  scope(() => {
    const seed =
      gradient ?? noGrad(() => Tensor.from([1], [1], { device: root.device }).reshape(root.shape));
    const first: (Arrived | undefined)[] = [];
    first[source.output] = arrive(undefined, seed);
    slots.set(source.node, first);
  });
  try {
    for (const node of nodes) {
      scope(() => stepBack(node, slots));
      release(node);
      yield;
    }
  } finally {
    for (const slot of slots.values()) for (const left of slot) left?.tensor.dispose();
    for (const node of nodes) release(node);
  }
}

const graph: Recorder = {
  tracks: (tensor) => isRecording() && (trainable.has(tensor) || sources.has(tensor)),
  record,
  walkBack,
  disposed,
};

/** Lets ops be recorded in this thread. Idempotent. */
export function installGraph(): void {
  installRecorder(graph);
}
