import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { backendAbi } from '../../scripts/backend-abi.mjs';
import { assert, test } from '../harness.js';

/** What CMakeLists.txt computes for the headers below `root`. */
function cmakeAbi(root: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-abi-'));
  try {
    const script = join(folder, 'abi.cmake');
    writeFileSync(
      script,
      `include("${resolve('cmake/backend_abi.cmake')}")
file(GLOB headers "${resolve(root)}/binding/core/*.h")
espalier_backend_abi(abi \${headers})
file(WRITE "${folder}/abi" "\${abi}")
execute_process(COMMAND "\${CMAKE_COMMAND}" -E cat "${folder}/abi")
`,
    );
    return execFileSync('cmake', ['-P', script], { encoding: 'utf8' });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('CMake and the CUDA build give the headers in binding/core the same number', () => {
  assert.match(backendAbi('.'), /^[0-9a-f]{8}$/);
  assert.is(backendAbi('.'), cmakeAbi('.'));
});

test('the number changes with any header, and with nothing else', () => {
  const root = mkdtempSync(join(tmpdir(), 'espalier-headers-'));
  const core = join(root, 'binding', 'core');
  mkdirSync(core, { recursive: true });
  // In byte order capitals and '.' come before '_' and small letters.
  for (const name of ['a_b.h', 'a.h', 'B.h', 'ab.h']) writeFileSync(join(core, name), `${name}\n`);
  const before = backendAbi(root);
  assert.is(before, cmakeAbi(root));
  writeFileSync(join(core, 'a.cc'), 'int a;\n');
  assert.is(backendAbi(root), before);
  writeFileSync(join(core, 'ab.h'), 'ab.h changed\n');
  assert.is.not(backendAbi(root), before);
  assert.is(backendAbi(root), cmakeAbi(root));
  rmSync(root, { recursive: true });
});
