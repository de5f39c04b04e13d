// Takes training steps with less and less memory than they need, in a process of its own whose address
// space is limited, and prints what came of it as JSON.
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { EspalierError } from '../../../ts/common/errors.js';
import { makeAdapterConfig } from '../../../ts/formats/adapter-config.js';
import { createAdapterSet } from '../../../ts/models/create-adapter-set.js';
import { loadModel } from '../../../ts/models/load-model.js';
import { native } from '../../../ts/native/addon.js';
import { AdamW } from '../../../ts/nn/adamw.js';
import type { Tensor } from '../../../ts/tensor/tensor.js';
import { Trainer } from '../../../ts/training/trainer.js';
import { withRoomFor } from '../../with-room-for.js';

const MIB = 2 ** 20;

async function digest(tensors: Iterable<Tensor>): Promise<string> {
  const hash = createHash('sha256');
  for (const tensor of tensors) hash.update(Buffer.from((await tensor.read()).buffer));
  return hash.digest('hex');
}

const MODEL = fileURLToPath(new URL('../../../demo/model', import.meta.url));

async function start() {
  const model = await loadModel(MODEL);
  model.adopt(createAdapterSet(model, makeAdapterConfig({ r: 4, loraDropout: 0.1 }), 1));
  const optimizer = new AdamW(model.trainableParameters());
  const trainer = new Trainer(model, { optimizer, schedule: () => 1e-2 });
  const bits = () =>
    digest([
      ...Array.from(model.trainableParameters(), ([, { value }]) => value),
      ...optimizer.state().values(),
    ]);
  return { trainer, bits };
}

const batch = (rows: number) => ({
  inputIds: Int32Array.from({ length: rows * 256 }, (_, i) => 3 + ((i * 7) % 90)),
  batch: rows,
  sequence: 256,
});

const reference = await start();
await reference.trainer.step([batch(2)]);
await reference.trainer.step([batch(8)]);

const { trainer, bits } = await start();
await trainer.step([batch(2)]);
const before = await bits();
const { inUse } = native().memory();
const ops: string[] = [];
let changed = 0;
let grown = 0;

/** Whether a step goes through in so much memory. */
async function succeeds(room: number, step: () => Promise<unknown>): Promise<boolean> {
  const failure = await withRoomFor(room, () =>
    step().then(
      () => undefined,
      (error: unknown) => error,
    ),
  );
  if (failure === undefined) return true;
  if (!(failure instanceof EspalierError) || failure.code !== 'OUT_OF_MEMORY') throw failure;
  ops.push(failure.op ?? 'unnamed');
  if ((await bits()) !== before) changed++;
  if (native().memory().inUse > inUse) grown++;
  return false;
}

for (let room = 4 * MIB; !(await succeeds(room, () => trainer.step([batch(8)]))); ) room += 4 * MIB;
const same = (await bits()) === (await reference.bits());
console.log(JSON.stringify({ ops, changed, grown, same }));
