// Brings a fresh clone to a working state, and costs well under a second when it already is:
// npm packages, native libraries, the addon, dist/. Plain JavaScript without imports of packages,
// because nothing is installed when it first runs.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { discardForeignCache } from './cmake-cache.mjs';
import { ensureNativeLibraries } from './native-libraries.mjs';
import { fail, run, say } from './process.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);

/** Names and contents of all files below `paths`, as one hash. */
function fingerprint(paths) {
  const hash = createHash('sha256');
  const visit = (path) => {
    if (!existsSync(path)) return;
    const info = statSync(path);
    if (info.isDirectory()) {
      for (const name of readdirSync(path).sort()) visit(join(path, name));
    } else {
      hash.update(`${path}\0${info.size}\0`).update(readFileSync(path));
    }
  };
  for (const path of paths) visit(path);
  return hash.digest('hex');
}

/** Runs `action` unless its inputs are those of the last success and `product` still exists. */
function step(name, inputs, product, action) {
  const stampFile = join('build', 'stamps', name);
  const stamp = `${process.version} ${fingerprint(inputs)}`;
  const done = existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp;
  if (done && existsSync(product)) return;
  const start = Date.now();
  say(`setup: ${name} ...`);
  action();
  if (!existsSync(product)) fail(name, `${product} was not made`, 'read the output above');
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, stamp);
  say(`setup: ${name} done in ${((Date.now() - start) / 1000).toFixed(1)} s`);
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 17)) {
  fail('node', `Node 20.17 or newer is needed, this is ${process.version}`, 'install a newer Node');
}

step('npm packages', ['package-lock.json'], 'node_modules/.package-lock.json', () =>
  run('npm packages', 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    remedy: 'check that the npm registry can be reached, then run npm run setup again',
  }),
);

step(
  'native addon',
  ['CMakeLists.txt', 'cmake', 'binding', 'package-lock.json'],
  'build/Release/espalier.node',
  () => {
    ensureNativeLibraries(root);
    discardForeignCache('build', root);
    const remedy = 'a C++20 compiler (g++ 12 or newer) and CMake 3.20 or newer are needed';
    run('native addon', 'npx', ['cmake-js', 'configure', '--silent'], { remedy });
    run('native addon', 'cmake', ['--build', 'build', '--parallel', String(cpus().length)], {
      remedy,
    });
  },
);

step(
  'dist',
  ['ts', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'],
  'dist/cli/espalier.js',
  () =>
    run('dist', 'npx', ['tsc', '-p', 'tsconfig.build.json'], {
      remedy: 'fix the type errors above',
    }),
);
