import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readAdapter } from '../../ts/formats/peft-adapter.js';
import { readSafetensors } from '../../ts/formats/safetensors-reader.js';
import { adapterSetFrom } from '../../ts/models/create-adapter-set.js';
import { loadClassifier } from '../../ts/models/load-classifier.js';
import { loadModel } from '../../ts/models/load-model.js';
import { AdamW } from '../../ts/nn/adamw.js';
import { clipGradNorm } from '../../ts/nn/clip-grad-norm.js';
import { native } from '../../ts/native/addon.js';
import { MappedFile } from '../../ts/tensor/mapped-file.js';
import { assert, close, test } from '../harness.js';

// What stock transformers and PEFT compute on these checkpoints; made-with.json names the versions.
const root = fileURLToPath(new URL('../fixtures/conformance', import.meta.url));

type Values = Float32Array | Float64Array | BigInt64Array;

async function expectations(directory: string): Promise<Map<string, Values>> {
  const { path, entries } = await readSafetensors(join(directory, 'expected.safetensors'));
  const file = MappedFile.open(path);
  const dtypes = { I64: 'i64', F64: 'f64', F32: 'f32' } as const;
  const values = new Map<string, Values>();
  for (const [name, { offset, shape, dtype }] of entries) {
    const tensor = file.tensor(offset, shape, dtypes[dtype as keyof typeof dtypes]);
    values.set(name, (await tensor.read()) as Values);
    tensor.dispose();
  }
  file.close();
  return values;
}

const numbers = (values: Values | undefined) => Array.from(values ?? [], Number);

function rows(values: Values | undefined, count: number): number[][] {
  const all = numbers(values);
  const width = all.length / count;
  return Array.from({ length: count }, (_, i) => all.slice(i * width, (i + 1) * width));
}

for (const name of ['llama-gqa', 'qwen2', 'qwen3']) {
  for (const gradientCheckpointing of [false, true]) {
    const how = gradientCheckpointing ? ' with recomputation' : '';
    test(`${name} trains its adapter as PEFT does: loss, gradients, three AdamW steps${how}`, async () => {
      const expected = await expectations(join(root, name, 'lora'));
      const model = await loadModel(join(root, name));
      const adapter = adapterSetFrom(model, await readAdapter(join(root, name, 'lora')));
      model.adapter = adapter;
      const ids = rows(expected.get('input_ids'), 2);
      const labels = rows(expected.get('labels'), 2);
      const logits = model.forward(ids);
      close((await logits.read()) as Float32Array, numbers(expected.get('logits')), 1e-4);
      logits.dispose();
      const parameters = [...model.trainableParameters()];
      const optimizer = new AdamW(parameters, { lr: 1e-2, weightDecay: 0.01 });
      const losses: number[] = [];
      for (let step = 0; step < 3; step++) {
        const loss = model.loss(ids, { labels, gradientCheckpointing });
        loss.backward();
        losses.push(((await loss.read()) as Float32Array)[0] as number);
        loss.dispose();
        if (step === 0) {
          close(losses, numbers(expected.get('loss')), 1e-5);
          for (const [path, { grad }] of parameters) {
            const got = (await grad?.read()) as Float32Array;
            close(got, numbers(expected.get(`grad.${path}`)), 1e-4);
          }
        }
        clipGradNorm(parameters, 1).dispose();
        optimizer.step();
        optimizer.zeroGrad();
      }
      close(losses, numbers(expected.get('adamw.losses')), 1e-4);
      for (const [path, { value }] of parameters) {
        const got = (await value.read()) as Float32Array;
        // Adam divides by the gradient's size: rounding of gradients near 0 moves an element by a
        // hundredth of the three steps.
        close(got, numbers(expected.get(`adamw3.${path}`)), 5e-3);
      }
      const after = model.forward(ids);
      close(
        (await after.read()) as Float32Array,
        numbers(expected.get('merged_logits_after_adamw3')),
        1e-3,
      );
      after.dispose();
      optimizer.dispose();
      adapter.dispose();
      model.dispose();
    });
  }
}

for (const name of ['bert-classifier', 'roberta-classifier', 'distilbert-classifier']) {
  test(`${name} gives the logits, loss and every gradient of transformers`, async () => {
    const expected = await expectations(join(root, name));
    const model = await loadClassifier(join(root, name), { trainable: true });
    model.trainAll();
    const ids = rows(expected.get('input_ids'), 3);
    const attentionMask = rows(expected.get('attention_mask'), 3);
    const labels = numbers(expected.get('labels'));
    const logits = model.forward(ids, { attentionMask });
    close((await logits.read()) as Float32Array, numbers(expected.get('logits')), 1e-4);
    logits.dispose();
    for (const gradientCheckpointing of [false, true]) {
      const loss = model.loss(ids, { attentionMask, labels, gradientCheckpointing });
      loss.backward();
      close((await loss.read()) as Float32Array, numbers(expected.get('loss')), 1e-5);
      loss.dispose();
      const names = new Set(expected.keys());
      for (const [path, parameter] of model.trainableParameters()) {
        const got = (await parameter.grad?.read()) as Float32Array;
        const want = numbers(expected.get(`grad.${path}`));
        names.delete(`grad.${path}`);
        // A key's bias moves all scores of a query alike, and saturated heads have next to no
        // gradient: what is left there is rounding noise of the others.
        const largest = want.reduce((size, value) => Math.max(size, Math.abs(value)), 0);
        if (largest < 1e-5) {
          const worst = Math.max(...got.map((value, i) => Math.abs(value - (want[i] as number))));
          assert.ok(worst < 1e-7, `${path}: off by ${worst} of ${largest}`);
        } else {
          close(got, want, 1e-4);
        }
        parameter.zeroGrad();
      }
      assert.equal(
        [...names].filter((key) => key.startsWith('grad.')),
        [],
      );
    }
    model.dispose();
  });
}

test('thousands of training steps leave memory as it was', async () => {
  const name = join(root, 'llama-gqa');
  const expected = await expectations(join(name, 'lora'));
  const model = await loadModel(name);
  const adapter = adapterSetFrom(model, await readAdapter(join(name, 'lora')));
  model.adapter = adapter;
  const ids = rows(expected.get('input_ids'), 2).map((row) => row.slice(0, 8));
  const optimizer = new AdamW(model.trainableParameters(), { lr: 1e-4 });
  const step = async () => {
    const loss = model.loss(ids);
    loss.backward();
    optimizer.step();
    optimizer.zeroGrad();
    await loss.read();
    loss.dispose();
  };
  for (let i = 0; i < 20; i++) await step();
  const before = native().memory();
  for (let i = 0; i < 2000; i++) await step();
  const after = native().memory();
  assert.ok(after.inUse <= before.inUse, 'native memory grew');
  assert.ok(after.tensors <= before.tensors, 'handles grew');
  optimizer.dispose();
  adapter.dispose();
  model.dispose();
});
