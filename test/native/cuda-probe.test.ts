import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { probeCuda } from '../../ts/native/cuda-probe.js';
import { resolveDevice } from '../../ts/native/resolve-device.js';
import { assert, fails, test } from '../harness.js';

const VERSION =
  'NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n' +
  'GCC version:  gcc version 12.2.0\n';

test('a machine without a driver is told so', () => {
  const root = mkdtempSync(join(tmpdir(), 'espalier-'));
  try {
    const probe = probeCuda({ root, variables: {} });
    assert.is(probe.available, false);
    assert.is(probe.driver, undefined);
    assert.match(probe.reasons.join('\n'), 'no NVIDIA kernel driver');
    assert.match(probe.reasons.join('\n'), 'libcuda.so.1 was not found');
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('driver, library and hidden devices are named', () => {
  const root = mkdtempSync(join(tmpdir(), 'espalier-'));
  try {
    mkdirSync(join(root, 'proc/driver/nvidia'), { recursive: true });
    mkdirSync(join(root, 'usr/lib64'), { recursive: true });
    writeFileSync(join(root, 'proc/driver/nvidia/version'), VERSION);
    writeFileSync(join(root, 'usr/lib64/libcuda.so.1'), '');
    const probe = probeCuda({ root, variables: { CUDA_VISIBLE_DEVICES: '' } });
    assert.is(probe.driver, '550.54.15');
    assert.is(probe.library, '/usr/lib64/libcuda.so.1');
    assert.match(probe.reasons.join('\n'), 'hides every GPU');
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('the version of the open kernel module is read too', () => {
  const root = mkdtempSync(join(tmpdir(), 'espalier-'));
  try {
    mkdirSync(join(root, 'proc/driver/nvidia'), { recursive: true });
    writeFileSync(
      join(root, 'proc/driver/nvidia/version'),
      'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86  Release Build  (root)\n',
    );
    assert.is(probeCuda({ root, variables: {} }).driver, '570.86');
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('auto and cpu resolve to the CPU, cuda says why it cannot', async () => {
  assert.is(resolveDevice().device, 'cpu');
  assert.ok(resolveDevice('auto').reasons.length > 0);
  assert.is(resolveDevice('cpu').device, 'cpu');
  const error = await fails(() => resolveDevice('cuda'), 'DEVICE_UNAVAILABLE');
  assert.match(error.message, 'no CUDA library');
  await fails(() => resolveDevice('tpu'), 'CONFIG');
});
