import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { climbingImports, climbingIncludes } from '../../scripts/floors.mjs';
import { undocumentedHeader } from '../../scripts/header-docs.mjs';
import { undocumentedTypeScript } from '../../scripts/typescript-docs.mjs';
import { assert, test } from '../harness.js';

/** Writes `files` (path → text) into a folder and hands it to `action`. */
function withFiles(files: Record<string, string>, action: (root: string) => void): void {
  const root = mkdtempSync(join(tmpdir(), 'espalier-checks-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), text);
    }
    action(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

test('nothing in this repository climbs', () => {
  assert.equal([...climbingImports('.'), ...climbingIncludes('.')], []);
});

test('an import of a higher floor, of a neighbour and of an unknown folder are each named', () => {
  const files = {
    'ts/ops/up.ts': `import { a } from '../models/a.js';`,
    'ts/ops/down.ts': `import { a } from '../tensor/a.js';\nimport { b } from './b.js';`,
    'ts/models/across.ts': `export { a } from '../data/a.js';`,
    'ts/systems/comp/across.ts': `import type { A } from '../legend/a.js';`,
    'ts/common/worker.ts': `new Worker(new URL('../native/worker.js', import.meta.url));`,
    'ts/misc/lost.ts': `import { a } from '../common/a.js';`,
    'ts/training/all.ts': `import { a } from '../index.js';`,
  };
  withFiles(files, (root) => {
    const named = climbingImports(root).map((line) => line.split(':')[0]);
    assert.equal(named, [
      'ts/common/worker.ts',
      'ts/misc/lost.ts',
      'ts/models/across.ts',
      'ts/ops/up.ts',
      'ts/systems/comp/across.ts',
      'ts/training/all.ts',
    ]);
  });
});

test('native folders include only lower ones, and libraries only where they belong', () => {
  const files = {
    'binding/core/a.h': '#include "binding/ops/b.h"',
    'binding/ops/b.cc': '#include "binding/core/a.h"\n#include <hwy/highway.h>',
    'binding/cpu/c.cc': '#include "dnnl.h"\n#include "binding/core/a.h"',
    'binding/node/d.cc': '#include "binding/cpu/c.h"\n#include <napi.h>',
  };
  withFiles(files, (root) => {
    const named = climbingIncludes(root).map((line) => line.split(':')[0]);
    assert.equal(named, ['binding/core/a.h', 'binding/ops/b.cc']);
  });
});

test('exports and public members without a doc comment are named', () => {
  const text = `
/** Documented. */
export class A {
  /** Documented. */
  one = 1;
  two = 2;

  three = 3;
  #four = 4;
  private five = 5;
  get six() { return this.#four + this.five; }
}
export function b(): void {}
function hidden(): void {}
/** Serves both. */
export const c = 1;
export const d = hidden;

export type E = string;
`;
  withFiles({ 'a.ts': text }, (root) => {
    const names = undocumentedTypeScript(join(root, 'a.ts')).map((line) => line.split(': ')[1]);
    assert.equal(names, ['A.two', 'A.three', 'A.six', 'b', 'E']);
  });
});

test('classes and public functions of a header without a comment are named', () => {
  const text = `
#pragma once
namespace espalier {
class Forward;
/// Documented.
class A {
 public:
  explicit A(int n);
  ~A();
  int bare() const;
  /// Documented.
  int one();
  int two() { return helper({1, 2}); }
  int beside();  ///< Documented.
 private:
  int hidden();
};

struct B {
  int field = std::max(1, 2);
};

/// Documented.
template <typename T>
T twice(T x) {
  if (x > 0) { g(); }
  return x;
}

template <typename T>
void loose(T x);
}  // namespace espalier
`;
  withFiles({ 'a.h': text }, (root) => {
    const names = undocumentedHeader(join(root, 'a.h')).map((line) => line.split(': ')[1]);
    assert.equal(names, ['bare', 'B', 'loose']);
  });
});
