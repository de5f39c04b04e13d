import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OutputDirectory } from '../../ts/formats/output-directory.js';
import { assert, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';

function modelIn(folder: string, text: string): string {
  const directory = join(folder, 'model');
  mkdirSync(directory);
  writeFileSync(join(directory, 'config.json'), text);
  return directory;
}

test('a directory appears, complete, only on commit', async () => {
  const folder = temporaryDirectory();
  const target = join(folder, 'deep', 'model');
  const output = await OutputDirectory.open(target);
  writeFileSync(output.file('config.json'), 'new');
  assert.not.ok(existsSync(target));
  await output.commit();
  assert.equal(readdirSync(target), ['config.json']);
  assert.equal(readdirSync(join(folder, 'deep')), ['model']);
});

test('an existing directory is refused, and with force replaced only on commit', async () => {
  const folder = temporaryDirectory();
  const target = modelIn(folder, 'old');
  await fails(() => OutputDirectory.open(target), 'CONFIG');
  const output = await OutputDirectory.open(target, { force: true });
  writeFileSync(output.file('config.json'), 'new');
  assert.is(readFileSync(join(target, 'config.json'), 'utf8'), 'old');
  await output.commit();
  assert.is(readFileSync(join(target, 'config.json'), 'utf8'), 'new');
  assert.equal(readdirSync(folder), ['model']);
});

test('force replaces neither a file nor a directory that holds something else', async () => {
  const folder = temporaryDirectory();
  writeFileSync(join(folder, 'precious'), '');
  await fails(() => OutputDirectory.open(folder, { force: true }), 'CONFIG');
  await fails(() => OutputDirectory.open(join(folder, 'precious'), { force: true }), 'CONFIG');
  assert.equal(readdirSync(folder), ['precious']);
});

test('unfinished work is refused, resumed or thrown away as asked', async () => {
  const target = join(temporaryDirectory(), 'model');
  const first = await OutputDirectory.open(target);
  writeFileSync(first.file('part'), '1');
  await first.suspend();
  await fails(() => OutputDirectory.open(target), 'CONFIG');
  const second = await OutputDirectory.open(target, { resume: true });
  assert.ok(second.resumed);
  assert.is(readFileSync(second.file('part'), 'utf8'), '1');
  await second.suspend();
  const third = await OutputDirectory.open(target, { force: true });
  assert.not.ok(third.resumed);
  assert.not.ok(existsSync(third.file('part')));
  await third.discard();
  assert.not.ok((await OutputDirectory.open(target, { resume: true })).resumed);
});

test('two writers of one directory do not mix, but the lock of a dead one is no obstacle', async () => {
  const target = join(temporaryDirectory(), 'model');
  const output = await OutputDirectory.open(target);
  for (const options of [{}, { force: true }, { resume: true }]) {
    const error = await fails(() => OutputDirectory.open(target, options), 'CONFIG');
    assert.match(error.message, `process ${process.pid} is writing`);
  }
  const dead = spawnSync(process.execPath, ['-e', '']).pid;
  writeFileSync(output.file('.lock'), String(dead));
  assert.ok((await OutputDirectory.open(target, { resume: true })).resumed);
});

test('a directory that cannot be made says where and why', async () => {
  const folder = temporaryDirectory();
  writeFileSync(join(folder, 'file'), '');
  const error = await fails(() => OutputDirectory.open(join(folder, 'file', 'model')), 'CONFIG');
  assert.match(error.message, join(folder, 'file', 'model'));
});
