import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Pieces } from '../../ts/common/pieces.js';
import { makeAdapterConfig } from '../../ts/formats/adapter-config.js';
import { createAdapterSet } from '../../ts/models/create-adapter-set.js';
import type { LossOptions } from '../../ts/models/decoder.js';
import { loadModel } from '../../ts/models/load-model.js';
import type { TokenBatch } from '../../ts/models/token-batch.js';
import { native } from '../../ts/native/addon.js';
import { SGD } from '../../ts/nn/sgd.js';
import type { Tensor } from '../../ts/tensor/tensor.js';
import { Trainer } from '../../ts/training/trainer.js';
import { assert, fails, test } from '../harness.js';

test('whatever op of a step memory runs out in, nothing has changed and training goes on', () => {
  const file = fileURLToPath(new URL('./children/short-of-memory.ts', import.meta.url));
  const child = spawnSync(process.execPath, ['--import', 'tsx', file], { encoding: 'utf8' });
  assert.is(child.status, 0, child.stderr);
  const { ops, changed, grown, same } = JSON.parse(child.stdout);
  assert.ok(ops.length >= 3, `only in ${ops}`);
  assert.is(changed, 0);
  assert.is(grown, 0);
  assert.ok(same, 'the step that went through gave other bits than one without failures before it');
});

test('a step that is aborted while it is being queued leaves nothing behind', async () => {
  const model = await loadModel(fileURLToPath(new URL('../../demo/model', import.meta.url)));
  model.adopt(createAdapterSet(model, makeAdapterConfig({ r: 4 }), 1));
  const optimizer = new SGD(model.trainableParameters());
  const controllers: AbortController[] = [];
  // The model; after its first layer somebody takes longer than a turn and aborts.
  const trainer = new Trainer(
    {
      loss: (batch, options) => model.loss(batch, options),
      *lossInPieces(batch: TokenBatch, options?: LossOptions): Pieces<Tensor> {
        const pieces = model.lossInPieces(batch, options);
        try {
          for (let layers = 0; ; layers++) {
            const piece = pieces.next();
            if (piece.done) return piece.value;
            if (layers === 1) controllers.pop()?.abort();
            for (const end = performance.now() + 10; performance.now() < end; );
            yield;
          }
        } finally {
          pieces.return(undefined as never);
        }
      },
      trainableParameters: () => model.trainableParameters(),
    },
    { optimizer, schedule: () => 0.1 },
  );
  const inputIds = Int32Array.from({ length: 64 }, (_, i) => 3 + (i % 90));
  const batch = { inputIds, batch: 2, sequence: 32 };
  const parameters = Array.from(model.trainableParameters(), ([, parameter]) => parameter);
  const values = async () => {
    const bits = await Promise.all(parameters.map(({ value }) => value.read()));
    return bits.map((array) => Buffer.from(array.buffer).toString('base64'));
  };
  const initial = await values();
  const { tensors, inUse } = native().memory();
  const controller = new AbortController();
  controllers.push(controller);
  await fails(() => trainer.step([batch], controller.signal), 'ABORTED');
  assert.ok(parameters.every(({ grad }) => grad === undefined));
  assert.equal(await values(), initial);
  assert.is(native().memory().tensors, tensors);
  assert.is(native().memory().inUse, inUse);
  const { step, skipped } = await trainer.step([batch]);
  assert.equal({ step, skipped }, { step: 1, skipped: false });
  assert.not.equal(await values(), initial);
  model.dispose();
  optimizer.dispose();
});
