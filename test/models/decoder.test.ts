import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Checkpoint } from '../../ts/models/checkpoint.js';
import { layerTensorName } from '../../ts/models/decoder-tensors.js';
import { loadModel } from '../../ts/models/load-model.js';
import { native } from '../../ts/native/addon.js';
import { makeSafetensors } from '../formats/make-safetensors.js';
import { assert, close, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';
import { tinyConfig, writeTinyCheckpoint } from './tiny-checkpoint.js';

async function logitsOf(directory: string, rows: number[][]): Promise<Float32Array> {
  const model = await loadModel(directory);
  const logits = model.forward(rows);
  const values = (await logits.read()) as Float32Array;
  logits.dispose();
  model.dispose();
  return values;
}

function tiny(fields: Record<string, unknown> = {}): string {
  const directory = temporaryDirectory();
  writeTinyCheckpoint(directory, { fields });
  return directory;
}

/** Rewrites the weights file: `change` gets its header and data. */
function rewrite(
  directory: string,
  change: (header: Record<string, { dtype: string }>, data: Buffer) => Buffer,
): void {
  const path = join(directory, 'model.safetensors');
  const file = readFileSync(path);
  const length = Number(file.readBigUInt64LE());
  const header = JSON.parse(file.subarray(8, 8 + length).toString());
  writeFileSync(path, change(header, file.subarray(8 + length)));
}

const row = [1, 2, 3, 4, 5, 6, 7, 8];

test('a position does not see what comes after it', async () => {
  const directory = tiny();
  const a = await logitsOf(directory, [row]);
  const b = await logitsOf(directory, [[...row.slice(0, 5), 9, 10, 0]]);
  close(b.subarray(0, 5 * 11), a.subarray(0, 5 * 11), 1e-6);
  assert.not.equal([...b.subarray(5 * 11)], [...a.subarray(5 * 11)]);
});

test('the rows of a batch do not see each other', async () => {
  const directory = tiny();
  const other = row.toReversed();
  const both = await logitsOf(directory, [row, other]);
  close(both.subarray(0, 88), await logitsOf(directory, [row]), 1e-6);
  close(both.subarray(88), await logitsOf(directory, [other]), 1e-6);
});

test('with a sliding window a position forgets what lies further back', async () => {
  const directory = tiny({ model_type: 'mistral', sliding_window: 2, num_hidden_layers: 1 });
  const a = await logitsOf(directory, [row]);
  const b = await logitsOf(directory, [[9, ...row.slice(1)]]);
  close(b.subarray(2 * 11), a.subarray(2 * 11), 1e-6);
  assert.not.equal([...b.subarray(11, 22)], [...a.subarray(11, 22)]);
});

test('a training loss is the mean of the losses of its tokens, however products are rounded', async () => {
  for (const dtype of ['f32', 'bf16'] as const) {
    const model = await loadModel('demo/model', { dtype });
    const rows = [0, 1].map((seed) => Array.from({ length: 60 }, (_, i) => (i * 37 + seed) % 105));
    const losses = await model.tokenLosses(rows);
    const loss = model.loss(rows);
    const mean = losses.reduce((sum, value) => sum + value, 0) / losses.length;
    close((await loss.read()) as Float32Array, [mean], 1e-6);
    loss.dispose();
    model.dispose();
  }
});

test('weights that no element size aligns load to the same model', async () => {
  const directory = tiny();
  const expected = await logitsOf(directory, [row]);
  for (let shift = 1; shift < 4; shift++) {
    rewrite(directory, (header, data) => {
      let text = JSON.stringify(header).trimEnd();
      while ((text.length + 8) % 4 !== shift) text += ' ';
      return makeSafetensors(text, data);
    });
    assert.equal([...(await logitsOf(directory, [row]))], [...expected]);
  }
});

test('layers of differing widths compute what full ones with zeroed neurons do', async () => {
  const narrow = tiny({
    head_dim: 4,
    espalier: {
      layers: [
        { intermediate_size: 12, num_attention_heads: 2, num_key_value_heads: 1 },
        { intermediate_size: 5, num_attention_heads: 2, num_key_value_heads: 1 },
      ],
    },
  });
  const checkpoint = await Checkpoint.open(narrow);
  const wide = temporaryDirectory();
  writeFileSync(join(wide, 'config.json'), JSON.stringify({ ...tinyConfig, head_dim: 4 }));
  const header: Record<string, unknown> = {};
  const values: number[] = [];
  for (const { name } of checkpoint.index.entries.values()) {
    const tensor = checkpoint.tensor(name);
    let [rows = 1, columns = 1] = tensor.shape;
    let data = [...(tensor.readSync() as Float32Array)];
    if (name.startsWith(layerTensorName(1, 'mlp'))) {
      if (name.includes('down')) {
        data = Array.from({ length: rows * 12 }, (_, i) =>
          i % 12 < 5 ? (data[Math.floor(i / 12) * 5 + (i % 12)] as number) : 0,
        );
        columns = 12;
      } else {
        data.push(...new Array<number>(7 * columns).fill(0.5));
        rows = 12;
      }
    }
    const shape = tensor.shape.length === 1 ? [rows] : [rows, columns];
    const begin = 4 * values.length;
    values.push(...data);
    header[name] = { dtype: 'F32', shape, data_offsets: [begin, 4 * values.length] };
  }
  checkpoint.close();
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  writeFileSync(join(wide, 'model.safetensors'), makeSafetensors(header, bytes));
  close(await logitsOf(narrow, [row]), await logitsOf(wide, [row]), 1e-6);
});

test('sequences that make no sense are refused with the reason', async () => {
  const model = await loadModel(tiny());
  for (const ids of [[], [[]], [[1], [1, 2]], [[11]], [[-1]], [[1.5]], [new Array(33).fill(1)]]) {
    await fails(() => model.forward(ids), 'SHAPE');
  }
  await fails(() => model.tokenLosses([[1]]), 'SHAPE');
  model.dispose();
  model.dispose();
  await fails(() => loadModel(tiny(), { device: 'cuda' }), 'DEVICE_UNAVAILABLE');
  await fails(() => loadModel(tiny(), { dtype: 'int8' as 'f32' }), 'CONFIG');
});

test('a dtype without tensors matters only where the tensor is needed', async () => {
  const relabel = (name: string) => {
    const directory = tiny({ hidden_size: 8 });
    rewrite(directory, (header, data) => {
      const entry = header[name];
      if (entry === undefined) {
        const end = data.length + 2;
        Object.assign(header, {
          [name]: { dtype: 'F8_E4M3', shape: [2], data_offsets: [data.length, end] },
        });
        return makeSafetensors(header, Buffer.concat([data, Buffer.alloc(2)]));
      }
      entry.dtype = 'I32';
      return makeSafetensors(header, data);
    });
    return directory;
  };
  (await loadModel(relabel('extra.scale'))).dispose();
  const error = await fails(() => loadModel(relabel('model.norm.weight')), 'UNSUPPORTED');
  assert.match(error.message, 'model.norm.weight');
});

test('a thousand forward passes leave memory as it was', async () => {
  const model = await loadModel(tiny());
  const pass = async () => {
    const logits = model.forward([row, row]);
    await logits.read();
    logits.dispose();
  };
  for (let i = 0; i < 20; i++) await pass();
  const before = native().memory().inUse;
  for (let i = 0; i < 1000; i++) await pass();
  assert.ok(native().memory().inUse <= before, 'native memory grew');
  model.dispose();
});
