import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageVersion } from '../../ts/common/environment.js';
import { hashFile } from '../../ts/formats/file-hash.js';
import { writeRunRecord } from '../../ts/formats/run-record.js';
import { assert, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';

const directory = temporaryDirectory();

test('run.json holds the record and the version', async () => {
  const record = {
    command: 'prune',
    options: { ratio: 0.2 },
    seed: 7,
    device: 'cpu',
    inputs: { 'a.txt': '00' },
    metrics: { perplexity: 2.5 },
  };
  await writeRunRecord(directory, record);
  const read = JSON.parse(readFileSync(join(directory, 'run.json'), 'utf8'));
  assert.equal(read, { ...record, version: packageVersion() });
});

test('a file is hashed as SHA-256', async () => {
  const path = join(directory, 'abc');
  writeFileSync(path, 'abc');
  // The example of FIPS 180-2, appendix B.1.
  const expected = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  assert.is(await hashFile(path), expected);
  await fails(() => hashFile(path, AbortSignal.abort()), 'ABORTED');
  await fails(() => hashFile(join(directory, 'none')), 'CONFIG');
});
