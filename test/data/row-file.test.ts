import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../../ts/common/random.js';
import { parseCsvRecord } from '../../ts/data/csv-record.js';
import { openToScan, type RecordKind, scanRecords } from '../../ts/data/record-scanner.js';
import { RowFile } from '../../ts/data/row-file.js';
import { assert, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';

function fileWith(content: string | Uint8Array, name = 'rows.jsonl'): string {
  const path = join(temporaryDirectory(), name);
  writeFileSync(path, content);
  return path;
}

async function records(path: string, kind: RecordKind, chunkBytes: number) {
  const handle = await openToScan(path);
  const found: { text: string; line: number; offset: number }[] = [];
  try {
    for await (const group of scanRecords(handle, path, kind, { chunkBytes })) {
      for (const { bytes, line, offset } of group) {
        found.push({ text: Buffer.from(bytes).toString(), line, offset });
      }
    }
    return found;
  } finally {
    await handle.close();
  }
}

const quoted = (field: string) =>
  /[",\r\n]/.test(field) || field === '' ? `"${field.replaceAll('"', '""')}"` : field;

test('CSV with quotes, separators, line ends and doubled quotes comes back, however it is chunked', async () => {
  const random = new Random(11);
  const pieces = ['a', 'é', ',', '"', '\n', '\r\n', ' ', '漢字', '""', '5" pipe', ''];
  const table = Array.from({ length: 60 }, () =>
    Array.from({ length: 3 }, () =>
      Array.from({ length: random.integer(5) }, () => pieces[random.integer(pieces.length)]).join(
        '',
      ),
    ),
  );
  for (const end of ['\n', '\r\n']) {
    const content = `\ufeff${table.map((row) => row.map(quoted).join(',')).join(end)}`;
    for (const last of ['', end, end + end]) {
      const path = fileWith(content + last, 'table.csv');
      for (const chunkBytes of [1, 2, 7, 64, 100_000]) {
        const found = await records(path, 'csv', chunkBytes);
        assert.equal(
          found.map(({ text }) => parseCsvRecord(text)),
          table,
        );
        let line = 1;
        for (const [i, row] of found.entries()) {
          assert.is(row.line, line);
          line += 1 + (row.text.match(/\n/g)?.length ?? 0);
          const bytes = Buffer.from(content).subarray(row.offset);
          assert.ok(bytes.toString().startsWith(row.text), `record ${i} at ${row.offset}`);
        }
      }
    }
  }
});

test('a quote inside an unquoted field is a character; a broken quoted field is refused', async () => {
  assert.equal(parseCsvRecord('5" pipe,b'), ['5" pipe', 'b']);
  assert.equal(parseCsvRecord('a,,'), ['a', '', '']);
  assert.ok('why' in parseCsvRecord('"a"b,c'));
  assert.ok('why' in parseCsvRecord('"a'));
  const path = fileWith('a,b\n1,"x\ny\n', 'open.csv');
  const error = await fails(() => records(path, 'csv', 1000), 'FORMAT');
  assert.match(error.message, /open\.csv, line 2: a quoted field never ends/);
});

const parseNumber = (text: string) =>
  /^\d+$/.test(text) ? { value: Number(text) } : { why: `${text} is no number` };

test('rows are read in any order, also with an index of a few places', async () => {
  const lines = Array.from({ length: 1000 }, (_, i) => `${i}${i % 7 === 0 ? '\r\n\n' : '\n'}`);
  const path = fileWith(lines.join(''));
  const random = new Random(3);
  for (const maxIndex of [2, 5, 64, 5000]) {
    const file = await RowFile.open(path, { kind: 'lines', parse: parseNumber, maxIndex });
    assert.is(file.count, 1000);
    const numbers = Array.from({ length: 200 }, () => random.integer(1000));
    assert.equal(
      (await file.read(numbers)).map(({ value }) => value),
      numbers,
    );
    await fails(() => file.read([1000]), maxIndex === 5000 ? 'CONFIG' : 'FORMAT');
    await file.close();
  }
});

test('a bad row is an error with file and line, or is left out and counted', async () => {
  const content = Buffer.concat([
    Buffer.from('1\n\n2\nx\n3\n'),
    Buffer.of(0xff, 10),
    Buffer.from('4'),
  ]);
  const path = fileWith(content, 'numbers.txt');
  const options = { kind: 'lines', parse: parseNumber } as const;
  const error = await fails(() => RowFile.open(path, options), 'FORMAT');
  assert.match(error.message, /numbers\.txt, line 4: x is no number/);
  for (const maxIndex of [2, 100]) {
    const file = await RowFile.open(path, { ...options, skipBadRows: true, maxIndex });
    assert.equal([file.count, file.skipped], [4, 2]);
    assert.equal(
      (await file.read([3, 0, 2, 1])).map(({ value }) => value),
      [4, 1, 3, 2],
    );
    assert.is(file.skipped, 2);
    await file.close();
  }
});

test('a missing file and a directory are errors of the surroundings', async () => {
  await fails(() => openToScan(join(temporaryDirectory(), 'none')), 'CONFIG');
  await fails(() => openToScan(temporaryDirectory()), 'CONFIG');
});

test('indexing a large file leaves the event loop its turns and the memory small', async () => {
  const row = JSON.stringify({ text: 'Once upon a time there was a cat. '.repeat(6) });
  const path = fileWith(`${row}\n`.repeat(120_000));
  const before = process.memoryUsage().rss;
  let late = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    late = Math.max(late, now - last - 5);
    last = now;
  }, 5);
  let peak = 0;
  const file = await RowFile.open(path, {
    kind: 'lines',
    maxIndex: 1000,
    parse: (text) => JSON.parse(text) as { text: string },
    onProgress: () => {
      peak = Math.max(peak, process.memoryUsage().rss);
    },
  });
  clearInterval(timer);
  assert.is(file.count, 120_000);
  assert.is((await file.read([119_999]))[0]?.text.length, 34 * 6);
  await file.close();
  assert.ok(peak - before < 120e6, `${(peak - before) / 1e6} MB`);
  // 20 ms are promised on a machine of one's own.
  assert.ok(late < 100, `${late} ms`);
});
