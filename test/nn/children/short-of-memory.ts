// Takes optimiser steps for whose state or gradients there is too little memory, and prints what came
// of it as JSON.
import { EspalierError } from '../../../ts/common/errors.js';
import { native } from '../../../ts/native/addon.js';
import { AdamW } from '../../../ts/nn/adamw.js';
import { Parameter } from '../../../ts/nn/parameter.js';
import { embedding } from '../../../ts/ops/embedding.js';
import { multiply } from '../../../ts/ops/multiply.js';
import { scope } from '../../../ts/tensor/scope.js';
import { settled } from '../../../ts/tensor/settle.js';
import { Tensor } from '../../../ts/tensor/tensor.js';
import { withRoomFor } from '../../with-room-for.js';

const MIB = 2 ** 20;

const small = new Parameter(Tensor.from([0, 0, 0, 0]));
const large = new Parameter(Tensor.zeros([16 * MIB]));
const optimizer = new AdamW([small, { parameters: [large], lr: 0.5 }], { lr: 0.1 });
small.grad = Tensor.from([1, 1, 1, 1]);
// Ones, without an array of JavaScript whose memory would be freed at some time below.
const row = Tensor.from(new Float32Array(1024).fill(1), [1, 1024]);
large.grad = embedding(Tensor.zeros([16 * 1024], 'i32'), row).reshape([16 * MIB]);
await settled(large.grad);
const ends = async () => {
  const [first] = (await small.value.read()) as Float32Array;
  const whole = (await large.value.read()) as Float32Array;
  return { small: first, large: whole[0], even: whole.every((value) => value === whole[0]) };
};

const inUse = native().memory().inUse;
// One of the two means of 64 MiB fits, the other does not; smaller ones could lie in what malloc holds.
const failure = await withRoomFor(96 * MIB, () =>
  optimizer.step().then(
    () => undefined,
    (error: unknown) => error,
  ),
);
const { code, op } = failure instanceof EspalierError ? failure : { code: String(failure), op: '' };
const kept = native().memory().inUse - inUse;
const before = await ends();
await optimizer.step();
const after = await ends();

// There is memory for the way forward, and none for the way back.
const table = new Parameter(Tensor.from(new Float32Array(1024).fill(3), [1, 1024]));
const second = new AdamW([table], { lr: 0.1 });
const ids = Tensor.zeros([16 * 1024], 'i32');
const square = scope(() => {
  const rows = embedding(ids, table.value);
  return multiply(rows, rows);
});
const gradient = large.grad.reshape(square.shape);
await settled(square);
const wayBack = await withRoomFor(32 * MIB, () => {
  square.backward(gradient);
  return second.step().then(
    () => undefined,
    ({ code, op }: EspalierError) => ({ code, op }),
  );
});
second.zeroGrad();
const [untouched] = (await table.value.read()) as Float32Array;
table.grad = Tensor.from(new Float32Array(1024).fill(1), [1, 1024]);
await second.step();
const [moved] = (await table.value.read()) as Float32Array;
console.log(JSON.stringify({ code, op, kept, before, after, wayBack, untouched, moved }));
